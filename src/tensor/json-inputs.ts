import { SlipwayError } from '../errors/slipway-error.ts';
import { decodeJsonTensor } from './json-decode.ts';
import { isJsonObject } from './json-object.ts';
import type { ScannedJson } from './scanned-json.ts';
import type { Signature, TensorSpec } from './signature.ts';
import type { NamedTensors, Tensor } from './tensor.ts';

/**
 * Gives a tensor the leading dimensions that a client may leave out: those that the model allows to be 1. A single
 * 28×28 image is a fine input for a model of [-1, 1, 28, 28].
 */
function withLeadingOnes(tensor: Tensor, spec: TensorSpec): Tensor {
  if (spec.shape === null) return tensor;
  const missing = spec.shape.length - tensor.shape.length;
  if (missing <= 0) return tensor;
  const leading = spec.shape.slice(0, missing);
  if (!leading.every((size) => size === -1 || size === 1)) return tensor;
  return { ...tensor, shape: [...leading.map(() => 1), ...tensor.shape] };
}

function decodeOne(value: ScannedJson, spec: TensorSpec, path: string): Tensor {
  return withLeadingOnes(decodeJsonTensor(value, { dtype: spec.dtype, path }), spec);
}

/**
 * Reads the value of `inputs` as the tensors of a signature. Names that the model does not have are kept out here and
 * reported; missing ones are reported by the data plane.
 * @throws SlipwayError INVALID_TENSOR, INPUT_MISMATCH
 */
export function decodeInputs(inputs: ScannedJson, { inputs: specs }: Signature): NamedTensors {
  const tensors = new Map<string, Tensor>();
  if (!isJsonObject(inputs)) {
    const [only] = specs;
    if (only === undefined || specs.length > 1) {
      const names = specs.map((spec) => `"${spec.name}"`).join(', ');
      throw new SlipwayError(
        'INPUT_MISMATCH',
        `The model has ${specs.length} inputs (${names}); send inputs as an object with these names.`,
        {
          details: [{ path: 'inputs', message: `must be an object with ${names}` }],
        },
      );
    }
    return tensors.set(only.name, decodeOne(inputs, only, 'inputs'));
  }
  for (const [name, value] of Object.entries(inputs)) {
    const spec = specs.find((each) => each.name === name);
    if (spec === undefined) {
      const names = specs.map((each) => `"${each.name}"`).join(', ');
      throw new SlipwayError('INPUT_MISMATCH', `The model has no input "${name}"; it has ${names}.`, {
        details: [{ path: `inputs.${name}`, message: 'is not an input of the model' }],
      });
    }
    tensors.set(name, decodeOne(value, spec, `inputs.${name}`));
  }
  return tensors;
}
