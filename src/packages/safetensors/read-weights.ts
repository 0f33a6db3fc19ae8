import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeBf16, decodeFp16 } from '../../tensor/float16.ts';
import type { WeightSpec } from '../tfjs/model-file.ts';
import type { Weights } from '../tfjs/read-weights.ts';
import { damaged, readHeader, type SafetensorsDtype, SAFETENSORS_FILE, type TensorEntry } from './header.ts';

type Stored = Pick<WeightSpec, 'dtype'> & { readonly data: ArrayBufferView<ArrayBuffer> };

const [LEAST_INT32, MOST_INT32] = [-(2 ** 31), 2 ** 31 - 1];

/** Whole numbers of any size as the one that layers have. */
function toInt32(name: string, values: ArrayLike<number> | ArrayLike<bigint>): Stored {
  const data = new Int32Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (value < LEAST_INT32 || value > MOST_INT32)
      throw damaged(`has ${value} in the tensor "${name}"; whole numbers of weights are of 32 bits`);
    data[index] = Number(value);
  }
  return { dtype: 'int32', data };
}

/** What each dtype becomes; the bytes are aligned and its own. */
const DECODED: Readonly<Record<SafetensorsDtype, (name: string, buffer: ArrayBuffer) => Stored>> = {
  F32: (_name, buffer) => ({ dtype: 'float32', data: new Float32Array(buffer) }),
  F64: (_name, buffer) => ({ dtype: 'float32', data: Float32Array.from(new Float64Array(buffer)) }),
  F16: (_name, buffer) => ({ dtype: 'float32', data: Float32Array.from(decodeFp16(new Uint16Array(buffer))) }),
  BF16: (_name, buffer) => ({ dtype: 'float32', data: Float32Array.from(decodeBf16(new Uint16Array(buffer))) }),
  I64: (name, buffer) => toInt32(name, new BigInt64Array(buffer)),
  I32: (_name, buffer) => ({ dtype: 'int32', data: new Int32Array(buffer) }),
  I16: (name, buffer) => toInt32(name, new Int16Array(buffer)),
  I8: (name, buffer) => toInt32(name, new Int8Array(buffer)),
  U64: (name, buffer) => toInt32(name, new BigUint64Array(buffer)),
  U32: (name, buffer) => toInt32(name, new Uint32Array(buffer)),
  U16: (name, buffer) => toInt32(name, new Uint16Array(buffer)),
  U8: (name, buffer) => toInt32(name, new Uint8Array(buffer)),
  BOOL: (_name, buffer) => ({ dtype: 'bool', data: new Uint8Array(buffer) }),
};

/** Frameworks that put dots between the parts of a name mean what Keras and TF.js mean by slashes. */
function slashed(name: string): string {
  return name.includes('/') ? name : name.replaceAll('.', '/');
}

/**
 * What TF.js may call a weight that Keras calls so by the `path` of its variable, best first. Keras puts the name of a
 * Sequential model before it and that of a cell into it (`lstm/lstm_cell/kernel`), and has another name for one of a kind.
 */
function spellings(name: string): readonly string[] {
  const parts = name.split('/');
  return [parts, parts.slice(1)].flatMap((own) => {
    const full = own.join('/');
    return [full, [...own.slice(0, -2), ...own.slice(-1)].join('/'), full.replace(/\/kernel$/, '/depthwise_kernel')];
  });
}

/** Names are a file's own: there may be a million of them, and each as long as the file. */
const [NAMES_LISTED, CHARACTERS_SHOWN] = [20, 100];

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_LISTED).map((name) => `"${name.slice(0, CHARACTERS_SHOWN)}"`);
  const more = names.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Puts the tensors to the weights of the layers. @returns for each name of a weight its tensor */
function matched(entries: readonly TensorEntry[], wanted: readonly string[]): ReadonlyMap<string, TensorEntry> {
  const names = new Set(wanted);
  const found = new Map<string, TensorEntry>();
  const extra: string[] = [];
  for (const entry of entries) {
    const name = spellings(slashed(entry.name)).find((each) => names.has(each));
    if (name === undefined) extra.push(entry.name);
    else if (found.has(name)) throw damaged(`has both "${found.get(name)!.name}" and "${entry.name}" for the weight "${name}"`);
    else found.set(name, entry);
  }
  const missing = wanted.filter((name) => !found.has(name));
  const problems = [
    ...(missing.length > 0 ? [`lacks ${listed(missing)}`] : []),
    ...(extra.length > 0 ? [`has ${listed(extra)}, which no layer of model.json takes`] : []),
  ];
  if (problems.length > 0) throw damaged(problems.join('; it '));
  return found;
}

/**
 * Reads the weights of a safetensors file.
 * @param wanted the names of the layers' weights, where they are known: then each must be there, and no other
 * @throws SlipwayError INVALID_MODEL naming the tensor that is missing, too many or damaged
 */
export async function readSafetensors(folder: string, wanted: readonly string[] | undefined): Promise<Weights> {
  const bytes = await readFile(join(folder, SAFETENSORS_FILE));
  const entries = readHeader(bytes);
  const named = wanted === undefined ? new Map(entries.map((entry) => [slashed(entry.name), entry])) : matched(entries, wanted);
  const specs: WeightSpec[] = [];
  const data: ArrayBuffer[] = [];
  for (const [name, { name: own, dtype, shape, begin, end }] of named) {
    const buffer = bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + end);
    const stored = DECODED[dtype](own, buffer);
    specs.push({ name, shape: [...shape], dtype: stored.dtype });
    data.push(stored.data.buffer);
  }
  return { specs, data };
}

/** Names and sizes alone. @throws SlipwayError INVALID_MODEL */
export async function tensorNames(folder: string): Promise<readonly string[]> {
  return readHeader(await readFile(join(folder, SAFETENSORS_FILE))).map(({ name }) => slashed(name));
}
