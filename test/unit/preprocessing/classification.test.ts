import { describe, expect, it } from 'vitest';
import type { Classification } from '../../../src/packages/manifest.ts';
import { classify } from '../../../src/preprocessing/classification.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';

const scores = (shape: number[], ...values: number[]): Tensor => ({ dtype: 'FP32', shape, data: Float32Array.from(values) });
const classes = (more: Partial<Classification> = {}): Classification => ({
  labels: ['a', 'b', 'c'],
  scores: 'probabilities',
  top: 2,
  ...more,
});

describe('classify', () => {
  it('names the likeliest classes of each example in order', () => {
    expect(classify(scores([2, 3], 0.25, 0.5, 0.125, 1, 0, 0), classes())).toEqual([
      {
        label: 'b',
        probability: 0.5,
        top: [
          { label: 'b', probability: 0.5 },
          { label: 'a', probability: 0.25 },
        ],
      },
      {
        label: 'a',
        probability: 1,
        top: [
          { label: 'a', probability: 1 },
          { label: 'b', probability: 0 },
        ],
      },
    ]);
    expect(classify(scores([3], 0, 0, 1), classes())).toHaveLength(1);
    expect(classify(scores([0, 3]), classes())).toEqual([]);
  });

  it('lists no more classes than there are, and the first among equals first', () => {
    const [prediction] = classify(scores([1, 3], 0.5, 0.5, 0.5), classes({ top: 10 }));
    expect(prediction!.top.map(({ label }) => label)).toEqual(['a', 'b', 'c']);
  });

  it('turns logits into probabilities, however large they are', () => {
    const [prediction] = classify(scores([1, 3], 1_000, 1_000, -1_000), classes({ scores: 'logits' }));
    expect(prediction).toMatchObject({ label: 'a', probability: 0.5 });
    const [uneven] = classify(scores([1, 3], 0, Math.log(2), 0), classes({ scores: 'logits' }));
    expect(uneven!.probability).toBeCloseTo(0.5, 6);
  });

  it('puts scores that are no numbers last', () => {
    const [prediction] = classify(scores([1, 3], Number.NaN, 0.25, 0.5), classes({ top: 3 }));
    expect(prediction!.top.map(({ label }) => label)).toEqual(['c', 'b', 'a']);
  });

  it.each<[string, Tensor]>([
    ['another number of classes', scores([1, 4], 0, 0, 0, 0)],
    ['a rank too many', scores([1, 1, 3], 0, 0, 0)],
    ['a scalar', scores([], 1)],
    ['integers', { dtype: 'INT32', shape: [1, 3], data: Int32Array.of(1, 2, 3) }],
  ])('refuses %s', (_what, tensor) => {
    expect(() => classify(tensor, classes())).toThrow(expect.objectContaining({ code: 'INFERENCE_FAILED' }));
  });

  it('reads the classes of tokens, those of an example one behind the other', () => {
    const tokens = scores([1, 2, 3], 0.25, 0.5, 0.25, 1, 0, 0);
    expect(classify(tokens, classes({ of: 'token', top: 1 })).map(({ label }) => label)).toEqual(
      classify(scores([2, 3], 0.25, 0.5, 0.25, 1, 0, 0), classes({ top: 1 })).map(({ label }) => label),
    );
    expect(() => classify(tokens, classes())).toThrow(expect.objectContaining({ code: 'INFERENCE_FAILED' }));
    expect(() => classify(scores([2, 3], 0, 0, 1, 0, 0, 1), classes({ of: 'token' }))).toThrow(/classes of each token/);
  });
});
