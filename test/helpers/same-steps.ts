import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { expect } from 'vitest';
import { float } from '../../src/compiler/graph/tensors.ts';
import { STEP } from '../../src/compiler/training/training-step.ts';
import type { OptimizerSpec } from '../../src/engines/training/trainer.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from './compiled-model.ts';
import { inputsOf, openTraining } from './training-step.ts';

/** One step changes a weight by its gradient, at a rate of 1. */
const SGD: OptimizerSpec = { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 };

/** Two steps by the graph and two by tfjs: the losses and, afterwards, all weights must be the same. */
export async function expectSameSteps(model: LayersModel, x: Tensor, target: Tensor, rate = 0.1): Promise<void> {
  const { session, input, weights } = await openTraining(model, { loss: 'mean-squared-error', optimizer: SGD });
  model.compile({ optimizer: tf.train.sgd(rate), loss: 'meanSquaredError' });
  try {
    for (const step of [1, 2]) {
      const results = await session.step(inputsOf(input, x, target, { rate, step }), [STEP.loss]);
      const [fed, wanted] = [x, target].map(({ data, shape }) => tf.tensor(data as Float32Array, [...shape]));
      expectClose(results.get(STEP.loss)!, float((await model.trainOnBatch(fed!, wanted!)) as number));
    }
    const fed = tf.tensor(x.data as Float32Array, [...x.shape]);
    const measured = await session.evaluate(inputsOf(input, x, target, { rate, step: 3 }), [STEP.outputs]);
    const served = model.predictOnBatch(fed) as tf.Tensor;
    expectClose(measured.get(STEP.outputs)!, { dtype: 'FP32', shape: served.shape, data: served.dataSync<'float32'>() });
    const state = session.state();
    expect(state.size).toBe(model.weights.length);
    for (const weight of model.weights) {
      const value = weight.read();
      // The lowering may have laid it out anew.
      const { input: name, fromGraph } = weights.find((each) => each.name === weight.originalName)!;
      expectClose(fromGraph(state.get(name)!), { dtype: 'FP32', shape: value.shape, data: Float32Array.from(value.dataSync()) });
    }
  } finally {
    await session.dispose();
  }
}

/**
 * A small step must lower the loss by what its gradients say: the rate times the sum of their squares. For what tfjs has no
 * gradient of, or a wrong one.
 */
export async function expectDescent(model: LayersModel, x: Tensor, target: Tensor, rate = 1e-5): Promise<void> {
  const { session, input } = await openTraining(model, { loss: 'mean-squared-error', optimizer: SGD });
  const loss = async (step: number): Promise<number> =>
    (await session.evaluate(inputsOf(input, x, target, { rate, step }), [STEP.loss])).get(STEP.loss)!.data[0] as number;
  try {
    const weights = new Map([...session.state()].map(([name, { data }]) => [name, (data as Float32Array).slice()]));
    const before = await loss(1);
    await session.step(inputsOf(input, x, target, { rate, step: 1 }), []);
    let squares = 0;
    for (const [name, { data }] of session.state())
      for (const [at, value] of (data as Float32Array).entries()) squares += ((value - weights.get(name)![at]!) / rate) ** 2;
    expect(squares).toBeGreaterThan(1e-3);
    expect((before - (await loss(2))) / (rate * squares)).toBeCloseTo(1, 1);
  } finally {
    await session.dispose();
  }
}
