import { isUtf8 } from 'node:buffer';
import { type DType, type Element, elementsOf, roundTo, type Tensor } from './tensor.ts';

/** A JSON value with exact integers and with the numbers that JSON does not have. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

/** How BYTES are written: as text, as `{"b64":…}`, or as that where they are no text. */
export type BytesForm = 'text' | 'base64' | 'either';

function elementText(element: Element, form: BytesForm): string {
  if (Buffer.isBuffer(element)) {
    if (form === 'base64' || (form === 'either' && !isUtf8(element))) return `{"b64":"${element.toString('base64')}"}`;
    return JSON.stringify(element.toString('utf8'));
  }
  return Object.is(element, -0) ? '-0.0' : String(element);
}

function nest(texts: readonly string[], shape: readonly number[]): string {
  if (shape.length === 0) return texts[0]!;
  const [size = 0, ...rest] = shape;
  const step = size === 0 ? 0 : texts.length / size;
  return `[${Array.from({ length: size }, (_row, index) => nest(texts.slice(index * step, (index + 1) * step), rest)).join(',')}]`;
}

export function nestedText(tensor: Tensor, form: BytesForm): string {
  return nest(
    elementsOf(tensor).map((element) => elementText(element, form)),
    tensor.shape,
  );
}

export function flatText(tensor: Tensor, form: BytesForm): string {
  return `[${elementsOf(tensor)
    .map((element) => elementText(element, form))
    .join(',')}]`;
}

/** Whether nested arrays tell the shape: of an empty one they tell it up to its first 0. */
export function isNestable(shape: readonly number[]): boolean {
  const empty = shape.indexOf(0);
  return empty === -1 || empty === shape.length - 1;
}

const MARK = '\u0000';

/** Reads JSON in which NaN and ±Infinity may stand bare and integers may have any number of digits. */
export function readJson(text: string): Json {
  const marked = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`));
  return JSON.parse(marked, (_key, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value === 'string' && value.startsWith(MARK)) return Number(value.slice(1));
    const source = context?.source;
    if (typeof value === 'number' && source !== undefined && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)) return BigInt(source);
    return value;
  }) as Json;
}

/** What an answer says of a tensor. An element is null where JSON has no number for it. */
export interface Read {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly elements: readonly (Element | null)[];
}

function readElement(value: Json, dtype: DType): Element | null {
  if (value === null) return null;
  if (dtype === 'BYTES') {
    if (typeof value === 'string') return Buffer.from(value, 'utf8');
    const { b64 } = value as { b64?: Json };
    if (typeof b64 === 'string') return Buffer.from(b64, 'base64');
  } else if (dtype === 'BOOL' && typeof value === 'boolean') return value;
  else if ((dtype === 'INT64' || dtype === 'UINT64') && (typeof value === 'number' || typeof value === 'bigint')) return BigInt(value);
  else if (typeof value === 'number' || typeof value === 'bigint') return roundTo(dtype, Number(value));
  throw new Error(`${typeof value} is no ${dtype}`);
}

/** @param shape said beside the data; told by the nesting when undefined. */
export function readTensor(value: Json, dtype: DType, shape?: readonly number[]): Read {
  const told: number[] = [];
  for (let probe = value; Array.isArray(probe); probe = probe[0]!) {
    told.push(probe.length);
    if (probe.length === 0) break;
  }
  const leaves = Array.isArray(value) ? ((value as unknown[]).flat(told.length - 1) as Json[]) : [value];
  return { dtype, shape: shape ?? told, elements: leaves.map((leaf) => readElement(leaf, dtype)) };
}
