import * as tf from '@tensorflow/tfjs-core';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DType, TensorData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';

const TFJS_DTYPES = { FP32: 'float32', INT32: 'int32', BOOL: 'bool', BYTES: 'string' } as const satisfies Partial<
  Record<DType, tf.DataType>
>;
const DTYPES = { float32: 'FP32', int32: 'INT32', bool: 'BOOL', string: 'BYTES' } as const satisfies Partial<Record<tf.DataType, DType>>;

/** Slipway's dtype for one of tfjs; undefined for complex64. */
export function dtypeOf(dtype: tf.DataType): DType | undefined {
  return dtype === 'complex64' ? undefined : DTYPES[dtype];
}

/** A new tfjs tensor, to be disposed by the caller or its scope. */
export function toTfjsTensor(name: string, { dtype, shape, data }: Tensor): tf.Tensor {
  if (!Object.hasOwn(TFJS_DTYPES, dtype)) throw new SlipwayError('INFERENCE_FAILED', `tfjs cannot take "${name}": its dtype is ${dtype}.`);
  // Strings are handed over as their bytes: tfjs keeps them as they are.
  return tf.tensor(data as tf.TypedArray, [...shape], TFJS_DTYPES[dtype as keyof typeof TFJS_DTYPES]);
}

async function dataOf(tensor: tf.Tensor): Promise<TensorData> {
  // `tensor.data` would decode strings as UTF-8, and lose what is none. A GPU has no other way to be read.
  const data: TensorData | BigInt64Array = await tf.engine().read(tensor.dataId);
  if (tensor.dtype === 'string') return data;
  // TensorFlow has int64, which tfjs calls int32.
  if (data instanceof BigInt64Array) return Int32Array.from(data, Number);
  // wasm answers a copy already; the others their own memory, which may be that of an input or a weight.
  return tf.getBackend() === 'wasm' ? data : data.slice();
}

/**
 * Copies a tensor out of tfjs; the tensor itself stays to be disposed.
 * @throws SlipwayError INFERENCE_FAILED when it is none that Slipway can hold.
 */
export async function fromTfjsTensor(name: string, tensor: tf.Tensor): Promise<Tensor> {
  const dtype = dtypeOf(tensor.dtype);
  if (dtype === undefined)
    throw new SlipwayError('INFERENCE_FAILED', `The output "${name}" is ${tensor.dtype}, which Slipway has no dtype for.`);
  // A convolution over an input smaller than its kernel gives such shapes, with data that means nothing.
  if (tensor.shape.some((size) => size < 0)) {
    throw new SlipwayError(
      'INFERENCE_FAILED',
      `The output "${name}" would have the shape [${tensor.shape.join(', ')}]: the inputs are too small for the model.`,
    );
  }
  return { dtype, shape: [...tensor.shape], data: await dataOf(tensor) };
}
