import type { Dataset, Entity, File } from 'h5wasm';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { WeightSpec } from '../tfjs/model-file.ts';
import type { Weights } from '../tfjs/read-weights.ts';
import type { KerasModel } from './keras-file.ts';
import { damaged, unsupported } from './keras-object.ts';

/** HDF5's class of floating-point numbers. */
const FLOAT_CLASS = 1;
const FLOAT32_BYTES = 4;

/*
 * Datasets are found by their paths, as Keras finds them. Attributes are left alone: reading one of a damaged file may go on
 * without end in the library.
 */

/** Where the library finds the file: in a file system in memory. It has no other, so no link can lead out of the file. */
const FILE = '/model.weights.h5';

/** The innermost of the library's words for an error: it prints a stack of them. */
function saidBy(error: unknown): string {
  const text = messageOf(error);
  const words = [...text.matchAll(/^ *#\d+: .* in \w+\(\): (.*)$/gm)].at(-1)?.[1] ?? text;
  return words.replace(/\.$/, '');
}

/** What lies at a path; null for nothing, and for what cannot be read. */
function lookUp(file: File, path: string): Entity | null {
  try {
    return file.get(path);
  } catch {
    return null;
  }
}

function isDataset(entity: Entity | null): entity is Dataset {
  return entity !== null && 'metadata' in entity && 'shape' in entity;
}

function readDataset(
  file: File,
  path: string,
  name: string,
): { readonly shape: readonly number[]; readonly bytes: number; read: () => Float32Array } {
  const dataset = lookUp(file, path);
  if (!isDataset(dataset)) throw damaged(`model.weights.h5 has no "${path}", the weight "${name}"`);
  const { shape, metadata } = dataset;
  if (shape === null) throw damaged(`"${path}" of model.weights.h5 has no shape`);
  if (metadata.type !== FLOAT_CLASS || metadata.size !== FLOAT32_BYTES)
    throw unsupported(`the weight "${name}" is not of the dtype float32; cast the variables of the model to float32 before it is saved`);
  return {
    shape,
    bytes: shape.reduce((product, size) => product * size, FLOAT32_BYTES),
    read() {
      const values = dataset.value;
      if (values instanceof Float32Array) return values;
      throw damaged(`"${path}" of model.weights.h5 cannot be read`);
    },
  };
}

function readPlanned(file: File, { weights }: KerasModel, fileBytes: number): Weights {
  const specs: WeightSpec[] = [];
  const data: ArrayBuffer[] = [];
  let total = 0;
  for (const { name, path } of weights) {
    const { shape, bytes, read } = readDataset(file, path, name);
    total += bytes;
    // A few bytes can say of a dataset that it has any number of equal elements.
    if (total > fileBytes) throw damaged(`"${path}" of model.weights.h5 states more numbers than the file has bytes for`);
    const values = read();
    if (values.byteLength !== bytes) throw damaged(`"${path}" of model.weights.h5 has ${values.byteLength} bytes; its shape says ${bytes}`);
    specs.push({ name, shape: [...shape], dtype: 'float32' });
    data.push(values.buffer.slice(values.byteOffset, values.byteOffset + bytes) as ArrayBuffer);
  }
  return { specs, data };
}

/**
 * Reads the weights that a Keras model has in its HDF5 file.
 * @throws SlipwayError INVALID_MODEL naming what is missing or damaged
 */
export async function readKerasWeights(model: KerasModel): Promise<Weights> {
  const bytes = await model.weightsFile();
  // 4 MB of WebAssembly, which models of other formats do not need.
  const { File: H5File, ready } = await import('h5wasm');
  const { FS, activate_throwing_error_handler: throwErrors } = await ready;
  throwErrors(); // else it prints them
  FS.writeFile(FILE, bytes);
  try {
    const file = new H5File(FILE, 'r');
    const read = readPlanned(file, model, bytes.byteLength);
    file.close();
    return read;
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw damaged(`model.weights.h5 cannot be read: ${saidBy(error)}`);
  } finally {
    FS.unlink(FILE);
  }
}
