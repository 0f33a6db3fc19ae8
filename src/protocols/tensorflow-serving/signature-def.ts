import type { Signature, TensorSpec } from '../../tensor/signature.ts';
import { DATA_TYPE } from './data-type.ts';
import { PREDICT_METHOD } from './serving.ts';

/** `TensorInfo`: for JSON as it is, and for gRPC a message. 64-bit integers are text, as JSON writes those of messages. */
function tensorInfo({ name, dtype, shape }: TensorSpec): object {
  return {
    // TensorFlow names a tensor by its operation and the place among that one's outputs.
    name: `${name}:0`,
    dtype: DATA_TYPE[dtype].name,
    tensor_shape: { dim: shape?.map((size) => ({ size: String(size), name: '' })) ?? [], unknown_rank: shape === null },
  };
}

/** The signature of a model as TensorFlow's `SignatureDef`. */
export function describeSignature({ inputs, outputs }: Signature): object {
  return {
    inputs: Object.fromEntries(inputs.map((spec) => [spec.name, tensorInfo(spec)])),
    outputs: Object.fromEntries(outputs.map((spec) => [spec.name, tensorInfo(spec)])),
    method_name: PREDICT_METHOD,
  };
}
