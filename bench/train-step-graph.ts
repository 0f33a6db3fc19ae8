import '../scripts/no-telemetry.ts';
import * as tf from '@tensorflow/tfjs-core';
import { createLenet } from '../scripts/digits/lenet.ts';
import { loadDigits, PIXELS, SIDE } from '../scripts/digits/dataset.ts';
import { compileTrainingStep } from '../src/compiler/compile-training.ts';
import { float } from '../src/compiler/graph/tensors.ts';
import { encodeOnnx } from '../src/compiler/onnx/encode-onnx.ts';
import { STEP } from '../src/compiler/training/training-step.ts';
import { openTrainingSession } from '../src/engines/onnx/training-session.ts';
import { tfjsTrainer } from '../src/engines/tfjs/training/tfjs-trainer.ts';
import type { LayerConfig, OptimizerSpec } from '../src/engines/training/trainer.ts';
import { decodeWeights } from '../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../src/packages/tfjs/model-file.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { median } from './lib/statistics.ts';

/*
 * Images per second of training LeNet on real digits in batches of 64 with Adam: a whole step as one graph in ONNX Runtime,
 * beside tfjs on wasm, one op after the other. The two take turns; the medians of the rounds count.
 * Run: node bench/train-step-graph.ts
 */

const BATCH = 64;
const ROUNDS = 5;
/** Steps of a round. */
const STEPS = { onnx: 60, tfjs: 8 };
const ADAM: OptimizerSpec = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
const RATE = 0.001;

const { train } = loadDigits(1);

function batchOf(step: number): { pixels: Float32Array; labels: Int32Array } {
  const pixels = new Float32Array(BATCH * PIXELS);
  const labels = new Int32Array(BATCH);
  for (let at = 0; at < BATCH; at += 1) {
    const row = ((step * BATCH + at) * 97) % train.labels.length;
    labels[at] = train.labels[row]!;
    for (let pixel = 0; pixel < PIXELS; pixel += 1) pixels[at * PIXELS + pixel] = train.images[row * PIXELS + pixel]! / 255;
  }
  return { pixels, labels };
}

interface Contender {
  readonly name: string;
  readonly steps: number;
  readonly step: (batch: ReturnType<typeof batchOf>, count: number) => Promise<number>;
}

await import('@tensorflow/tfjs-backend-cpu');
await tf.setBackend('cpu');
const model = createLenet(1);
let saved: tf.io.ModelArtifacts | undefined;
await model.save({
  save: async (artifacts) => {
    saved = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  },
});
const topology = JSON.parse(JSON.stringify(saved!.modelTopology)) as { config: { layers: LayerConfig[] } };
const weights = decodeWeights({ specs: saved!.weightSpecs as WeightSpec[], data: [saved!.weightData as ArrayBuffer] });

async function onnx(threads: number): Promise<Contender> {
  const started = performance.now();
  const { graph, state } = compileTrainingStep(topology, weights, { loss: 'cross-entropy', optimizer: ADAM });
  const session = await openTrainingSession({ model: Buffer.concat(encodeOnnx(graph).model), state, threads });
  console.log(`onnx, ${threads} threads: ${graph.nodes.length} nodes, ready in ${(performance.now() - started).toFixed(0)} ms`);
  const share: Tensor = { dtype: 'FP32', shape: [BATCH], data: new Float32Array(BATCH).fill(1 / BATCH) };
  return {
    name: `onnx, ${threads} threads`,
    steps: STEPS.onnx,
    async step({ pixels, labels }, count) {
      const inputs = new Map<string, Tensor>([
        [graph.inputs[0]!.name, { dtype: 'FP32', shape: [BATCH, SIDE, SIDE, 1], data: pixels }],
        [STEP.target, { dtype: 'INT32', shape: [BATCH], data: labels }],
        [STEP.weights, share],
        [STEP.rate, float(RATE)],
        [STEP.step, { dtype: 'FP64', shape: [], data: Float64Array.of(count) }],
      ]);
      return (await session.step(inputs, [STEP.loss])).get(STEP.loss)!.data[0] as number;
    },
  };
}

async function tfjs(): Promise<Contender> {
  const input: LayerConfig = {
    class_name: 'InputLayer',
    config: { name: 'image', batch_input_shape: [null, SIDE, SIDE, 1], dtype: 'float32' },
  };
  const layers = topology.config.layers.filter(({ class_name: name }) => name !== 'InputLayer');
  const trainer = await tfjsTrainer()({
    layers: [input, ...layers],
    loss: 'cross-entropy',
    optimizer: ADAM,
    clipping: {},
    frozen: [],
    seed: 1,
  });
  return {
    name: trainer.engine,
    steps: STEPS.tfjs,
    step: async ({ pixels, labels }, count) =>
      (
        await trainer.step(
          { inputs: { shape: [BATCH, SIDE, SIDE, 1], data: pixels }, target: { shape: [BATCH], data: labels } },
          { learningRate: RATE, step: count },
        )
      ).loss,
  };
}

const contenders = [await onnx(1), await onnx(2), await tfjs()];
const rates = contenders.map((): number[] => []);
const losses = contenders.map(() => Number.NaN);
const counts = contenders.map(() => 0);
for (let round = 0; round <= ROUNDS; round += 1) {
  for (const [index, { steps, step }] of contenders.entries()) {
    const batches = Array.from({ length: steps }, (_batch, at) => batchOf(counts[index]! + at));
    const started = performance.now();
    for (const batch of batches) losses[index] = await step(batch, (counts[index]! += 1));
    // The first round warms up.
    if (round > 0) rates[index]!.push((steps * BATCH) / ((performance.now() - started) / 1_000));
  }
}
const baseline = median(rates.at(-1)!);
for (const [index, { name }] of contenders.entries()) {
  const rate = median(rates[index]!);
  const ratio = (rate / baseline).toFixed(1);
  console.log(
    `${name.padEnd(18)} ${rate.toFixed(0).padStart(7)} images/s   ${ratio}×   loss ${losses[index]!.toFixed(3)} after ${counts[index]} steps`,
  );
}
