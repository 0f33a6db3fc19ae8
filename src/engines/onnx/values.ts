import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { NumericData, TensorData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { carriedTypeOf, dtypeOf } from './element-types.ts';

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

function decodeString(name: string, bytes: Uint8Array, index: number): string {
  // The binding hands strings to ONNX Runtime as C strings, which would end silently at the first NUL.
  if (bytes.includes(0))
    throw new SlipwayError('INVALID_TENSOR', `${name}[${index}] has a NUL byte; ONNX Runtime cannot take it in a string.`);
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    throw new SlipwayError('INVALID_TENSOR', `${name}[${index}] is not valid UTF-8; the strings of an ONNX model must be.`);
  }
}

/**
 * A tensor as the binding reads it: an object with these four properties. The class `Tensor` of onnxruntime-common
 * is not used because it turns FP16 bits into a Float16Array, whose bytes the binding does not find.
 * @throws SlipwayError INVALID_TENSOR for strings that ONNX Runtime cannot take.
 */
export function toOrtValue(name: string, tensor: Tensor): OnnxValue {
  const type = carriedTypeOf(tensor.dtype);
  if (type === undefined)
    throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime for Node cannot pass "${name}": its dtype is ${tensor.dtype}.`);
  const data =
    type === 'string' ? (tensor.data as readonly Uint8Array[]).map((bytes, index) => decodeString(name, bytes, index)) : tensor.data;
  return { type, dims: tensor.shape, data, location: 'cpu' } as unknown as OnnxValue;
}

function dataOf({ type, data }: OrtTensor): TensorData {
  if (type === 'string') return (data as string[]).map((text) => utf8Encoder.encode(text));
  if (type === 'float16') {
    const { buffer, byteOffset, length } = data as unknown as Float16Array;
    return new Uint16Array(buffer, byteOffset, length);
  }
  return data as NumericData;
}

/** An output as a Slipway tensor. Its memory belongs to this output alone, so it is handed on without a copy. */
export function fromOrtValue(value: OrtTensor): Tensor {
  const dtype = dtypeOf(value.type);
  if (dtype === undefined) throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime answered a tensor of the unknown type ${value.type}.`);
  return { dtype, shape: value.dims, data: dataOf(value) };
}
