import type { Dataset, Entity, File } from 'h5wasm';
import { messageOf } from '../../errors/slipway-error.ts';
import type { WeightSpec } from '../tfjs/model-file.ts';
import type { Weights } from '../tfjs/read-weights.ts';
import type { KerasModel } from './keras-file.ts';
import { damaged, unsupported } from './keras-object.ts';

/** HDF5's class of floating-point numbers. */
const FLOAT_CLASS = 1;
const FLOAT32_BYTES = 4;

/** Where the library finds the file: in a file system in memory. It has no other, so no link can lead out of the file. */
const FILE = '/model.weights.h5';

function isDataset(entity: Entity | null): entity is Dataset {
  return entity !== null && 'metadata' in entity && 'shape' in entity;
}

function readDataset(
  file: File,
  path: string,
  name: string,
): { readonly shape: readonly number[]; readonly bytes: number; read: () => Float32Array } {
  const dataset = file.get(path);
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

/** Each layer's folder says its name; another one means that the weights are those of another model. */
function checkFolders(file: File, folders: KerasModel['folders']): void {
  for (const [folder, name] of folders) {
    const group = file.get(`${folder}/vars`);
    const said = group !== null && 'attrs' in group ? group.attrs['name']?.value : undefined;
    if (typeof said === 'string' && said !== name)
      throw damaged(`in model.weights.h5, "${folder}" holds the weights of "${said}"; by config.json it is the layer "${name}"`);
  }
}

function readPlanned(file: File, { weights, folders }: KerasModel, fileBytes: number): Weights {
  checkFolders(file, folders);
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
  const { FS } = await ready;
  FS.writeFile(FILE, bytes);
  let file: File | undefined;
  try {
    file = new H5File(FILE, 'r');
    if (file.file_id < 0n) throw damaged('model.weights.h5 is no HDF5 file');
    return readPlanned(file, model, bytes.byteLength);
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw error;
    throw damaged(`model.weights.h5 cannot be read: ${messageOf(error)}`);
  } finally {
    file?.close();
    FS.unlink(FILE);
  }
}
