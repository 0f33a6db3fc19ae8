import { SlipwayError } from '../../../errors/slipway-error.ts';
import { decodeBinaryTensor } from '../../../tensor/binary.ts';
import { bytesPerElement, isFixed } from '../../../tensor/dtype.ts';
import { formatShape } from '../../../tensor/shape.ts';
import type { Signature, TensorSpec } from '../../../tensor/signature.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import type { RestInferRequest } from './decode-infer.ts';

function mismatch(message: string): SlipwayError {
  return new SlipwayError('INPUT_MISMATCH', message);
}

/** The shape that a raw body fills: an example of its own if there is a batch dimension, and one open dimension at most. */
function shapeOf({ name, dtype, shape }: TensorSpec, byteLength: number): number[] {
  const open = shape?.filter((size) => size === -1).length ?? Number.POSITIVE_INFINITY;
  const batched = open > 1 && shape?.[0] === -1;
  if (shape === null || (batched ? open - 1 : open) > 1) {
    throw mismatch(
      `The shape of the input "${name}", ${formatShape(shape)}, can't be told from the size of the body; send the request with its JSON part.`,
    );
  }
  const sizes = batched ? [1, ...shape.slice(1)] : [...shape];
  const axis = sizes.indexOf(-1);
  if (axis === -1) return sizes;
  if (!isFixed(dtype)) {
    sizes[axis] = 1;
    return sizes;
  }
  const fixed = sizes.reduce((product, size) => (size === -1 ? product : product * size), bytesPerElement(dtype));
  // What does not come out even is reported by the tensor's decoder.
  sizes[axis] = fixed === 0 ? 0 : Math.floor(byteLength / fixed);
  return sizes;
}

function decodeRawInput(spec: TensorSpec, body: Buffer): Tensor {
  if (body.length === 0) throw mismatch(`The body is empty; a raw body is the content of the input "${spec.name}".`);
  const shape = shapeOf(spec, body.length);
  const path = `inputs.${spec.name}`;
  if (isFixed(spec.dtype)) return decodeBinaryTensor(body, spec.dtype, shape, path, { copy: false });
  if (shape.some((size) => size !== 1)) {
    throw mismatch(`The input "${spec.name}" takes BYTES ${formatShape(spec.shape)}; a raw body is one element only.`);
  }
  return { dtype: 'BYTES', shape, data: [body] };
}

/**
 * Reads a raw body (`Inference-Header-Content-Length: 0`): the bytes of the model's only input, all outputs of which are
 * answered in binary form. For BYTES it is one element without its length.
 * @throws SlipwayError INPUT_MISMATCH, INVALID_TENSOR
 */
export function decodeRawRequest(body: Buffer, { inputs }: Signature): RestInferRequest {
  const [only] = inputs;
  if (only === undefined || inputs.length > 1) {
    throw mismatch(`The model has ${inputs.length} inputs; a raw body is for models with one. Send the request with its JSON part.`);
  }
  return {
    id: undefined,
    inputs: new Map([[only.name, decodeRawInput(only, body)]]),
    outputs: [],
    binaryOutputs: true,
    timeoutUs: undefined,
    priority: undefined,
  };
}
