/*
 * Milliseconds of a training step with Adam in ONNX Runtime, one graph, beside PyTorch: an LSTM classifier and a Transformer
 * encoder over sequences of 64 steps. The two take turns with the same number of threads; the medians of the rounds count.
 * A profile by ONNX Runtime tells where the graph's time goes.
 * Usage: node bench/train-sequences.ts [rounds=5] [batch=64]; PYTHON names a Python with torch.
 */
import '../scripts/no-telemetry.ts';
import { compileTrainingStep } from '../src/compiler/compile-training.ts';
import { float } from '../src/compiler/graph/tensors.ts';
import { encodeOnnx } from '../src/compiler/onnx/encode-onnx.ts';
import type { Fields } from '../src/compiler/topology/config.ts';
import { STEP } from '../src/compiler/training/training-step.ts';
import { openTrainingSession } from '../src/engines/onnx/training-session.ts';
import { decodeWeights } from '../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../src/packages/tfjs/model-file.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { BENCH_MODELS } from './lib/layers-models.ts';
import { profileOperators } from './lib/operator-profile.ts';
import { pytorchStepMs, WITHOUT_PYTORCH } from './lib/pytorch.ts';
import { median } from './lib/statistics.ts';

const [rounds, batch] = [Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 64)];
const THREADS = 2;
const STEPS = 20;
const CLASSES = 10;
/** Operators of the profile that are told. */
const TOLD = 8;

for (const name of ['lstm', 'transformer'] as const) {
  const { title, make, shape, example } = BENCH_MODELS[name]!;
  let compiled: ReturnType<typeof compileTrainingStep> | undefined;
  let compiling = 0;
  await make().save({
    async save({ modelTopology, weightSpecs, weightData }) {
      const weights = decodeWeights({ specs: weightSpecs as WeightSpec[], data: [weightData as ArrayBuffer] });
      const topology = JSON.parse(JSON.stringify(modelTopology)) as Fields;
      const started = performance.now();
      compiled = compileTrainingStep(topology, weights, {
        loss: 'cross-entropy',
        optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      });
      compiling = performance.now() - started;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
  });
  const { graph, state } = compiled!;
  const started = performance.now();
  const model = Buffer.concat(encodeOnnx(graph).model);
  const session = await openTrainingSession({ model, state, threads: THREADS });
  const opening = performance.now() - started;
  const size = batch * shape.reduce((product, each) => product * each, 1);
  const inputs = (count: number): Map<string, Tensor> =>
    new Map<string, Tensor>([
      [
        graph.inputs[0]!.name,
        { dtype: 'FP32', shape: [batch, ...shape], data: Float32Array.from({ length: size }, (_, at) => example(at)) },
      ],
      [STEP.target, { dtype: 'INT32', shape: [batch], data: Int32Array.from({ length: batch }, (_, at) => at % CLASSES) }],
      [STEP.weights, { dtype: 'FP32', shape: [batch], data: new Float32Array(batch).fill(1 / batch) }],
      [STEP.rate, float(0.001)],
      [STEP.step, { dtype: 'FP64', shape: [], data: Float64Array.of(count) }],
    ]);
  const [ours, theirs]: [number[], number[]] = [[], []];
  let count = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const batches = Array.from({ length: STEPS }, () => inputs((count += 1)));
    const begun = performance.now();
    for (const each of batches) await session.step(each, [STEP.loss]);
    // The first round warms up.
    if (round > 0) ours.push((performance.now() - begun) / STEPS);
    const other = pytorchStepMs(name, { batch, steps: STEPS, threads: THREADS });
    if (other !== undefined && round > 0) theirs.push(other);
  }
  await session.dispose();
  const nodes = `${graph.nodes.length} nodes, compiled in ${compiling.toFixed(0)} ms, opened in ${opening.toFixed(0)} ms`;
  console.log(`${title}; batch ${batch}, ${THREADS} threads: ${nodes}`);
  const other = theirs.length === 0 ? undefined : median(theirs);
  const beside =
    other === undefined ? WITHOUT_PYTORCH : `PyTorch ${other.toFixed(1)} ms; ${(other / median(ours)).toFixed(2)}× PyTorch's rate`;
  console.log(`  a step: ${median(ours).toFixed(1)} ms; ${beside}`);
  const feeds = new Map([...inputs(1), ...state.map(({ name: input, initial }) => [input, initial] as const)]);
  for (const { operator, nodes: many, milliseconds, share } of (await profileOperators(model, feeds, { threads: THREADS })).slice(0, TOLD))
    console.log(
      `  ${operator.padEnd(20)} ${String(many).padStart(5)} nodes ${milliseconds.toFixed(2).padStart(8)} ms ${(share * 100).toFixed(0).padStart(3)} %`,
    );
}
