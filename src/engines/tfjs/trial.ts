import { SlipwayError } from '../../errors/slipway-error.ts';
import { STORAGE } from '../../tensor/dtype.ts';
import type { Signature, TensorSpec } from '../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { Execution } from './execution.ts';

/** Sizes tried for the open dimensions after the batch: 32 is enough for most convolutions, 1 fits more broadcasts. */
const OPEN_SIZES = [32, 1] as const;

/** One tensor of zeros, or of empty strings, that fits the spec. An open first dimension is taken as a batch of one. */
function zerosOf({ dtype, shape }: TensorSpec, openSize: number): Tensor {
  const sizes = (shape ?? [1]).map((size, index) => (size >= 0 ? size : index === 0 ? 1 : openSize));
  const count = sizes.reduce((product, size) => product * size, 1);
  const data = dtype === 'BYTES' ? Array.from({ length: count }, () => new Uint8Array()) : new STORAGE[dtype](count);
  return { dtype, shape: sizes, data };
}

export type TrialResult =
  | { readonly outcome: 'ran'; readonly outputs: NamedTensors }
  /** What the engine said to the first size. */
  | { readonly outcome: 'failed'; readonly error: SlipwayError };

/**
 * Runs a model once on zeros, to learn at load what else would surface with the first request: a kernel that the
 * backend lacks, an operator that is unknown. It also warms the model up.
 */
export async function tryModel(signature: Signature, execute: Execution): Promise<TrialResult> {
  const wanted = signature.outputs.map(({ name }) => name);
  const open = signature.inputs.some(({ shape }) => shape?.some((size, index) => size < 0 && index > 0));
  let first: SlipwayError | undefined;
  for (const size of open ? OPEN_SIZES : OPEN_SIZES.slice(0, 1)) {
    try {
      const inputs = new Map(signature.inputs.map((spec) => [spec.name, zerosOf(spec, size)]));
      return { outcome: 'ran', outputs: await execute(inputs, wanted) };
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      first ??= error;
    }
  }
  return { outcome: 'failed', error: first! };
}
