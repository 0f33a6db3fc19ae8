import { describe, expect, it } from 'vitest';
import type { LoadedModel } from '../../../src/engines/engine.ts';
import { classesOf } from '../../../src/jobs/child/optimize/measure.ts';
import type { ModelRows } from '../../../src/jobs/child/optimize/model-rows.ts';

/** A fake: it gives these scores for its rows, whatever they are. */
function modelOf(scores: readonly (readonly number[])[]): LoadedModel {
  const width = scores[0]!.length;
  const outputs = new Map([['scores', { dtype: 'FP32', shape: [scores.length, width], data: Float32Array.from(scores.flat()) }]]);
  const tensor = (name: string) => ({ name, dtype: 'FP32', shape: [-1, width] });
  return { signature: { inputs: [tensor('x')], outputs: [tensor('scores')] }, run: async () => outputs } as unknown as LoadedModel;
}

/** Rows of which the model sees nothing, with these classes. */
function rowsOf(labels: readonly number[]): ModelRows {
  return { count: labels.length, labels: Int32Array.from(labels), batch: () => new Map() };
}

const classes = (scores: number[][], labels: number[]): Promise<Int32Array> =>
  classesOf(modelOf(scores), {}, rowsOf(labels), new AbortController().signal);

describe('the classes that a variant is measured by', () => {
  it('are those with the highest scores, and none where a score is no number', async () => {
    const scores = [
      [0.1, 0.9],
      [0.6, 0.4],
      [Number.NaN, 0.4],
      [0.6, Number.NaN],
    ];
    expect([...(await classes(scores, [1, 0, 0, 0]))]).toEqual([1, 0, -1, -1]);
  });

  it('cannot be told by one score for a row, or by fewer than there are classes', async () => {
    await expect(classes([[0.2], [0.8]], [0, 1])).rejects.toMatchObject({
      code: 'UNSUITABLE_DATA',
      message: /has 1 scores a row, and the data 2 classes/,
    });
    await expect(classes([[0.2, 0.8]], [2])).rejects.toMatchObject({
      code: 'UNSUITABLE_DATA',
      message: /2 scores a row, and the data 3 classes/,
    });
  });
});
