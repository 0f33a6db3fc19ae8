import { describe, expect, it } from 'vitest';
import { createGraphBuilder } from '../../../../src/compiler/graph/builder.ts';
import { floats } from '../../../../src/compiler/graph/tensors.ts';
import { GRAPH_LOSSES, type GraphLoss } from '../../../../src/compiler/training/losses.ts';
import type { NamedTensors, Tensor } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { runGraph } from '../../../helpers/run-graph.ts';

const [ROWS, WIDTH] = [4, 3];
const CLASSES = [2, 0, 1, 2];
const ACTIVATIONS: Readonly<Partial<Record<GraphLoss, 'Softmax' | 'Sigmoid'>>> = {
  'cross-entropy': 'Softmax',
  'binary-cross-entropy': 'Sigmoid',
};

function lossesOfRow(name: GraphLoss, scores: readonly number[], target: readonly number[], label: number): number {
  const mean = (of: (score: number, wanted: number) => number): number =>
    scores.reduce((sum, score, index) => sum + of(score, target[index]!), 0) / scores.length;
  switch (name) {
    case 'cross-entropy':
      return Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - scores[label]!;
    case 'binary-cross-entropy':
      return mean((score, wanted) => -wanted * Math.log(1 / (1 + Math.exp(-score))) - (1 - wanted) * Math.log(1 / (1 + Math.exp(score))));
    case 'mean-squared-error':
      return mean((score, wanted) => (score - wanted) ** 2);
    case 'mean-absolute-error':
      return mean((score, wanted) => Math.abs(score - wanted));
    case 'huber':
      return mean((score, wanted) => {
        const distance = Math.abs(score - wanted);
        return distance <= 1 ? distance ** 2 / 2 : distance - 1 / 2;
      });
  }
}

function expectedLoss(name: GraphLoss, scores: ArrayLike<number>, target: ArrayLike<number>, weights: readonly number[]): number {
  return weights.reduce((sum, weight, row) => {
    const part = (values: ArrayLike<number>): number[] => Array.from(values).slice(row * WIDTH, (row + 1) * WIDTH);
    return sum + weight * lossesOfRow(name, part(scores), part(target), CLASSES[row]!);
  }, 0);
}

async function computed(name: GraphLoss, scores: Float32Array, target: Float32Array, weights: readonly number[]): Promise<NamedTensors> {
  const builder = createGraphBuilder();
  const x = builder.input('scores', { dtype: 'FP32', shape: ['batch', WIDTH] });
  const activation = ACTIVATIONS[name];
  const output = activation === undefined ? x : builder.add(activation, [x]);
  const loss = GRAPH_LOSSES[name];
  const [wanted, weight] = [builder.input('target', loss.targetType(output)), builder.input('weights', loss.weightsType(output))];
  const nodes = loss.add(builder, output, wanted, weight);
  expect(nodes.of).toBe(x);
  const graph = builder.finish('loss', [
    { name: 'loss', value: nodes.loss },
    { name: 'gradient', value: nodes.gradient },
  ]);
  const rows = weights.length;
  const classes: Tensor = { dtype: 'INT32', shape: [rows], data: Int32Array.from(CLASSES.slice(0, rows)) };
  return runGraph(graph, {
    scores: floats([rows, WIDTH], scores.slice(0, rows * WIDTH)),
    target: name === 'cross-entropy' ? classes : floats([rows, WIDTH], target.slice(0, rows * WIDTH)),
    weights: floats([rows], weights),
  });
}

describe.each(Object.keys(GRAPH_LOSSES) as GraphLoss[])('%s', (name) => {
  const scores = randomNumbers(ROWS * WIDTH, 5).map((value) => value * 3);
  const target = randomNumbers(ROWS * WIDTH, 6).map((value) => (value + 1) / 2);
  const weights = [0.1, 0.4, 0.3, 0.2];

  it('is the sum of the weighted losses, with its gradient', async () => {
    const results = await computed(name, scores, target, weights);
    expect(results.get('loss')!.data[0]).toBeCloseTo(expectedLoss(name, scores, target, weights), 5);
    const step = 1e-4;
    const gradient = results.get('gradient')!.data as Float32Array;
    const moved = Float64Array.from(scores);
    for (const [at, score] of scores.entries()) {
      moved[at] = score + step;
      const above = expectedLoss(name, moved, target, weights);
      moved[at] = score - step;
      const below = expectedLoss(name, moved, target, weights);
      moved[at] = score;
      expect(gradient[at]).toBeCloseTo((above - below) / (2 * step), 4);
    }
  });

  it('leaves out examples of the weight 0', async () => {
    const part = await computed(name, scores, target, [0.5, 0.5]);
    const whole = await computed(name, scores, target, [0.5, 0.5, 0, 0]);
    expect(whole.get('loss')!.data[0]).toBeCloseTo(part.get('loss')!.data[0] as number, 6);
    for (const value of (whole.get('gradient')!.data as Float32Array).slice(2 * WIDTH)) expect(Math.abs(value)).toBe(0);
  });

  it('is finite for large scores', async () => {
    const results = await computed(
      name,
      scores.map((score) => score * 1_000),
      target,
      weights,
    );
    for (const output of ['loss', 'gradient'])
      for (const value of results.get(output)!.data as Float32Array) expect(Number.isFinite(value)).toBe(true);
  });
});
