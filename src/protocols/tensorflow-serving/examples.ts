import { SlipwayError } from '../../errors/slipway-error.ts';
import { concatTensors } from '../../tensor/concat.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Signature, TensorSpec } from '../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';

/**
 * Makes the tensor of one feature of one example.
 * @param shape the wanted one, without a batch dimension; undefined when the values are to tell it.
 */
export type DecodeFeature = (spec: TensorSpec, shape: readonly number[] | undefined, path: string) => Tensor;

/** The features of one example by their names. */
export type Example = ReadonlyMap<string, DecodeFeature>;

/** The shape of an input for one example; undefined where the model leaves it open. */
function exampleShape({ name, shape }: TensorSpec): readonly number[] | undefined {
  if (shape === null) return undefined;
  const [first, ...rest] = shape;
  if (first !== -1 && first !== 1) {
    throw new SlipwayError('INPUT_MISMATCH', `The input "${name}" of the shape ${formatShape(shape)} does not take examples one by one.`);
  }
  return rest.includes(-1) ? undefined : rest;
}

/**
 * Examples as the inputs of a model: the features with the names of its inputs, one behind the other.
 * @throws SlipwayError INVALID_REQUEST without examples; INPUT_MISMATCH for a feature that is missing; INVALID_TENSOR
 */
export function examplesToInputs(examples: readonly Example[], { inputs }: Signature): NamedTensors {
  if (examples.length === 0) {
    throw new SlipwayError('INVALID_REQUEST', 'The request has no examples.', { details: [{ path: 'examples', message: 'is empty' }] });
  }
  return new Map(
    inputs.map((spec) => {
      const shape = exampleShape(spec);
      const rows = examples.map((example, index) => {
        const path = `examples[${index}].${spec.name}`;
        const decode = example.get(spec.name);
        if (decode === undefined)
          throw new SlipwayError('INPUT_MISMATCH', `${path} is missing.`, { details: [{ path, message: 'is missing' }] });
        const tensor = decode(spec, shape, path);
        return { ...tensor, shape: [1, ...tensor.shape] };
      });
      return [spec.name, concatTensors(rows, 'examples')];
    }),
  );
}
