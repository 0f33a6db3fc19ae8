import { describe, expect, it } from 'vitest';
import { arithmeticOf } from '../../../../src/compiler/graph/arithmetic.ts';
import { createGraphBuilder } from '../../../../src/compiler/graph/builder.ts';
import { floats } from '../../../../src/compiler/graph/tensors.ts';
import { clipInGraph } from '../../../../src/compiler/training/clip-gradients.ts';
import { graphUpdateRule } from '../../../../src/compiler/training/update-rules.ts';
import type { Clipping, OptimizerSpec } from '../../../../src/engines/training/trainer.ts';
import { clipGradients, createUpdateRule, type Slots } from '../../../../src/engines/training/update-rules.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { openGraph, runGraph } from '../../../helpers/run-graph.ts';

const LENGTH = 12;
const STEPS = 6;

const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

const OPTIMIZERS: readonly OptimizerSpec[] = [
  { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
  { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0.1 },
  { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0 },
  { kind: 'adagrad', initialAccumulator: 0.1, epsilon: 1e-10, weightDecay: 0.01 },
  { kind: 'adadelta', rho: 0.9, epsilon: 1e-6, weightDecay: 0 },
  { kind: 'rmsprop', rho: 0.99, momentum: 0, centered: false, epsilon: 1e-8, weightDecay: 0 },
  { kind: 'rmsprop', rho: 0.9, momentum: 0.5, centered: true, epsilon: 1e-3, weightDecay: 0.1 },
  { kind: 'adam', ...ADAM, weightDecay: 0 },
  { kind: 'adam', ...ADAM, weightDecay: 0.1 },
  { kind: 'adamw', ...ADAM, weightDecay: 0.1 },
  { kind: 'adamax', ...ADAM, weightDecay: 0.1 },
];

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let index = 0; index < expected.length; index += 1)
    expect(Math.abs(actual[index]! - expected[index]!) / Math.max(1e-3, Math.abs(expected[index]!))).toBeLessThan(5e-5);
}

describe('update rules as nodes give what the plain ones give', () => {
  it.each(OPTIMIZERS.map((spec) => [JSON.stringify(spec), spec] as const))('%s', async (_name, spec) => {
    const builder = createGraphBuilder();
    const array = { dtype: 'FP32', shape: [LENGTH] } as const;
    const scalar = (dtype: 'FP32' | 'FP64') => ({ dtype, shape: [] });
    const [weights, gradient] = [builder.input('weights', array), builder.input('gradient', array)];
    const [rate, step] = [builder.input('rate', scalar('FP32')), builder.input('step', scalar('FP64'))];
    const rule = graphUpdateRule(spec, { graph: builder, math: arithmeticOf(builder, 'FP32'), rate, step });
    const plain = createUpdateRule(spec);
    const slots: Slots = plain.createSlots(LENGTH);
    expect(Object.keys(rule.slots).toSorted()).toEqual(Object.keys(slots).toSorted());
    const inputs = Object.fromEntries(Object.keys(slots).map((name) => [name, builder.input(name, array)]));
    const updated = rule.add({ weights, gradient, slots: inputs });
    const session = await openGraph(
      builder.finish('update', [
        { name: 'weights/next', value: updated.weights },
        ...Object.entries(updated.slots).map(([name, value]) => ({ name: `${name}/next`, value })),
      ]),
    );
    try {
      const expected = randomNumbers(LENGTH, 1);
      const feeds: Record<string, Tensor> = { weights: floats([LENGTH], expected) };
      for (const [name, value] of Object.entries(rule.slots)) feeds[name] = floats([LENGTH], Array(LENGTH).fill(value));
      for (let count = 1; count <= STEPS; count += 1) {
        const slope = randomNumbers(LENGTH, 10 + count);
        const learningRate = 0.01 * count;
        feeds['gradient'] = floats([LENGTH], slope);
        feeds['rate'] = floats([], [learningRate]);
        feeds['step'] = { dtype: 'FP64', shape: [], data: Float64Array.of(count) };
        const results = await session.run(feeds);
        for (const name of ['weights', ...Object.keys(slots)]) feeds[name] = results.get(`${name}/next`)!;
        plain.update(expected, slope, slots, learningRate, count);
        expectClose(feeds['weights']!.data as Float32Array, expected);
        for (const [name, values] of Object.entries(slots)) expectClose(feeds[name]!.data as Float32Array, values);
      }
    } finally {
      await session.close();
    }
  });
});

describe('gradients are clipped as the plain rule does it', () => {
  it.each<Clipping>([{ value: 0.3 }, { norm: 0.7 }, { norm: 100 }, { value: 0.5, norm: 1 }])('%o', async (clipping) => {
    const builder = createGraphBuilder();
    const gradients = [randomNumbers(6, 1), randomNumbers(4, 2)];
    const inputs = gradients.map(({ length }, index) => builder.input(`g${index}`, { dtype: 'FP32', shape: [length] }));
    const clipped = clipInGraph(builder, inputs, clipping);
    const results = await runGraph(
      builder.finish(
        'clip',
        clipped.map((value, index) => ({ name: `clipped${index}`, value })),
      ),
      Object.fromEntries(gradients.map((data, index) => [`g${index}`, floats([data.length], data)])),
    );
    clipGradients(gradients, clipping);
    for (const [index, expected] of gradients.entries()) expectClose(results.get(`clipped${index}`)!.data as Float32Array, expected);
  });
});
