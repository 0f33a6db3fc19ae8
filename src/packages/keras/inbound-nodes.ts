import { damaged, type Fields, isFields, unsupported } from './keras-object.ts';

/** A tensor as TF.js names it: layer, call, output; then the keywords of the call, for the first one. */
type TensorName = readonly [layer: string, call: number, output: number, keywords?: Fields];

/** Keywords that say nothing when they have these values. */
const IDLE: Readonly<Record<string, readonly unknown[]>> = { training: [null, false], mask: [null] };

/** Keywords whose tensors follow those of the call itself, in this order. */
const TENSOR_KEYWORDS = ['query', 'value', 'key', 'initial_state'] as const;

function isTensor(value: unknown): value is { readonly config: Fields } {
  return isFields(value) && value['class_name'] === '__keras_tensor__' && isFields(value['config']);
}

/**
 * `[layer, call, output]`; a nested model's calls count from 1 in TF.js, after the one that made it, and from 0 in Keras 3.
 * @throws SlipwayError INVALID_MODEL
 */
function tensorName(value: unknown, nested: ReadonlySet<string>, where: string): TensorName {
  const [layer, call, output] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof layer !== 'string' || typeof call !== 'number' || typeof output !== 'number')
    throw damaged(`${where} names a tensor as ${JSON.stringify(value)?.slice(0, 100)}, not as [layer, call, output]`);
  return [layer, nested.has(layer) ? call + 1 : call, output];
}

/** The tensors in an argument, in order; undefined for an argument that holds none. */
function tensorsOf(value: unknown, nested: ReadonlySet<string>, where: string): TensorName[] | undefined {
  if (isTensor(value)) return [tensorName(value.config['keras_history'], nested, where)];
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const all = value.map((each) => tensorsOf(each, nested, where));
  return all.every((each) => each !== undefined) ? all.flat() : undefined;
}

function callOf(node: unknown, nested: ReadonlySet<string>, where: string): TensorName[] {
  const { args, kwargs } = isFields(node) ? node : {};
  if (!Array.isArray(args) || !isFields(kwargs)) throw damaged(`${where} has a call without "args" and "kwargs"`);
  const tensors: TensorName[] = [];
  for (const value of args as unknown[]) {
    const own = tensorsOf(value, nested, where);
    if (own !== undefined) tensors.push(...own);
    else if (value !== null && value !== false)
      throw unsupported(`${where} is called with ${JSON.stringify(value).slice(0, 60)} in place of a tensor`);
  }
  const others: Record<string, unknown> = {};
  const rest = new Map(Object.entries(kwargs));
  for (const keyword of TENSOR_KEYWORDS) {
    const value = rest.get(keyword);
    const own = tensorsOf(value, nested, where);
    if (own !== undefined) tensors.push(...own);
    if (own !== undefined || value === null) rest.delete(keyword);
  }
  for (const [keyword, value] of rest) {
    if (IDLE[keyword]?.includes(value) === true) continue;
    if (keyword !== 'use_causal_mask')
      throw unsupported(
        `${where} is called with ${keyword}=${isTensor(value) ? 'a tensor' : JSON.stringify(value).slice(0, 60)}, which TF.js does not heed`,
      );
    others[keyword] = value;
  }
  const [first, ...more] = tensors;
  if (first === undefined) throw damaged(`${where} is called without a tensor`);
  return Object.keys(others).length === 0 ? [first, ...more] : [[first[0], first[1], first[2], others], ...more];
}

/**
 * Where a layer is called, in the form of Keras 2, which TF.js reads.
 * @param nested names of the layers beside it that are models
 */
export function inboundNodes(value: unknown, nested: ReadonlySet<string>, where: string): readonly (readonly TensorName[])[] {
  if (!Array.isArray(value)) throw damaged(`${where} has no list "inbound_nodes"`);
  return (value as unknown[]).map((node) => callOf(node, nested, where));
}

/** The inputs or outputs of a model: one, a list, or a dictionary of them. */
export function modelTensors(value: unknown, nested: ReadonlySet<string>, where: string): TensorName[] {
  if (isFields(value)) return Object.values(value).flatMap((each) => modelTensors(each, nested, where));
  if (Array.isArray(value) && typeof value[0] !== 'string') return value.flatMap((each) => modelTensors(each, nested, where));
  return [tensorName(value, nested, where)];
}
