import { EXTERNAL, STRING_ENTRY, TENSOR } from '../../compiler/onnx/fields.ts';
import { LENGTH_DELIMITED, WireReader } from '../../protobuf/wire-reader.ts';
import { invalidModel } from './invalid-model.ts';
import type { OnnxTensor, RawFields, TensorContent } from './model.ts';
import type { ReadBudget } from './read-budget.ts';

/** The elements of a tensor in a file that nobody has looked at yet. */
interface UnresolvedContent {
  readonly kind: 'external';
  readonly location: string;
  readonly offset: number;
  /** Undefined up to the end of the file. */
  readonly byteLength: number | undefined;
}

export type UnresolvedTensor = Omit<OnnxTensor, 'content'> & { content: UnresolvedContent | TensorContent };

const TYPED_DATA: ReadonlySet<number> = new Set([
  TENSOR.floatData,
  TENSOR.int32Data,
  TENSOR.stringData,
  TENSOR.int64Data,
  TENSOR.doubleData,
  TENSOR.uint64Data,
]);

function readEntry(reader: WireReader): readonly [string, string] {
  let [key, value] = ['', ''];
  while (reader.next()) {
    if (reader.field === STRING_ENTRY.key) key = reader.string();
    else if (reader.field === STRING_ENTRY.value) value = reader.string();
    else reader.skip();
  }
  return [key, value];
}

function sizeIn(entries: ReadonlyMap<string, string>, key: string, name: string): number | undefined {
  const text = entries.get(key);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw invalidModel(`says of the tensor "${name}" that its ${key} is "${text.slice(0, 40)}", which is no size`);
  return Number(text);
}

/** A TensorProto. Elements are not copied, and count only where each would be an object. */
export function readTensor(bytes: Buffer, budget: ReadBudget): UnresolvedTensor {
  budget.part();
  const reader = new WireReader(bytes);
  const shape: number[] = [];
  const rest: RawFields = [];
  const typed: RawFields = [];
  const entries = new Map<string, string>();
  let name = '';
  let dataType = 0;
  let raw: Buffer | undefined;
  let isExternal = false;
  let elementBytes = 0;
  while (reader.next()) {
    if (reader.field === TENSOR.dims) {
      if (reader.wireType !== LENGTH_DELIMITED) shape.push(Number(reader.int64()));
      else for (const packed = reader.message(); !packed.atEnd;) shape.push(Number(packed.packedInt64()));
    } else if (reader.field === TENSOR.dataType) dataType = Number(reader.int64());
    else if (reader.field === TENSOR.name) name = reader.string();
    else if (reader.field === TENSOR.rawData) {
      raw = reader.bytes();
      elementBytes += raw.length;
    } else if (TYPED_DATA.has(reader.field)) {
      budget.keep(reader, typed);
      if (reader.wireType === LENGTH_DELIMITED && reader.field !== TENSOR.stringData) elementBytes += typed.at(-1)!.length;
    } else if (reader.field === TENSOR.externalData) entries.set(...readEntry(reader.message()));
    else if (reader.field === TENSOR.dataLocation) isExternal = Number(reader.int64()) === EXTERNAL;
    else budget.keep(reader, rest);
  }
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0)) throw invalidModel(`has a tensor "${name}" with a size below 0`);
  let content: UnresolvedContent | TensorContent;
  if (isExternal) {
    const location = entries.get('location');
    if (location === undefined) throw invalidModel(`does not say in which file the elements of the tensor "${name}" are`);
    content = { kind: 'external', location, offset: sizeIn(entries, 'offset', name) ?? 0, byteLength: sizeIn(entries, 'length', name) };
  } else content = raw === undefined ? { kind: 'typed', fields: typed } : { kind: 'raw', bytes: raw };
  budget.bytes(bytes.length - elementBytes);
  return { name, dataType, shape, content, rest };
}
