import { SlipwayError } from '../../errors/slipway-error.ts';
import type { LoweredWeight } from '../lowering/lower-model.ts';

/**
 * Refuses models that would be trained otherwise than their layers say.
 * @param names of all weights in the model's files.
 * @throws SlipwayError COMPILE_FAILED, naming the weight
 */
export function checkTrainable(names: Iterable<string>, lowered: readonly LoweredWeight[]): void {
  for (const name of names) {
    const values = lowered.filter((weight) => weight.name === name).length;
    if (values === 1) continue;
    const what = values === 0 ? 'is not in the graph as it is in the file' : 'is in the graph in several orders';
    throw new SlipwayError('COMPILE_FAILED', `The weight "${name}" ${what}, so it cannot be trained there. The engine tfjs trains it.`);
  }
}
