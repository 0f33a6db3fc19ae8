import type { Examples, Split } from '../../src/datasets/dataset.ts';

/** What is added to each count, so that a pair that never came is not impossible; the best for the measured text counts. */
const SMOOTHINGS = [1, 0.3, 0.1, 0.03, 0.01];

/** Calls back for each token and the one after it. */
async function eachPair(examples: Examples, split: Split, see: (token: number, next: number) => void): Promise<void> {
  for await (const { inputs, target } of examples.batches({ split, batchSize: 64 })) {
    const tokens = inputs[0]!.data;
    for (const [at, next] of target!.data.entries()) see(tokens[at]!, next);
  }
}

/**
 * The loss of a model that knows how often each token came after each other one in the training text, and nothing else.
 * @returns mean −log probability of a token of the split, in nats
 */
export async function bigramLoss(examples: Examples, split: Split): Promise<number> {
  const { target } = examples.preparation;
  if (target.kind !== 'token') throw new Error('the examples are of no text that is continued');
  const { vocabularySize: size } = target;
  const pairs = new Float64Array(size * size);
  const totals = new Float64Array(size);
  await eachPair(examples, 'train', (token, next) => {
    pairs[token * size + next]! += 1;
    totals[token]! += 1;
  });
  const sums = SMOOTHINGS.map(() => 0);
  let count = 0;
  await eachPair(examples, split, (token, next) => {
    count += 1;
    for (const [index, added] of SMOOTHINGS.entries())
      sums[index]! -= Math.log((pairs[token * size + next]! + added) / (totals[token]! + added * size));
  });
  return Math.min(...sums) / count;
}
