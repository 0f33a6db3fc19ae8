import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { filledInputs } from '../filled-inputs.ts';
import type { Execution } from './execution.ts';

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
  let first: SlipwayError | undefined;
  for (const inputs of filledInputs(signature, 0)) {
    try {
      return { outcome: 'ran', outputs: await execute(inputs, wanted) };
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      first ??= error;
    }
  }
  return { outcome: 'failed', error: first! };
}
