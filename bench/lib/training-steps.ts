import '../../scripts/no-telemetry.ts';
import { type CompiledTraining, compileSplitStep, compileTrainingStep } from '../../src/compiler/compile-training.ts';
import type { Graph } from '../../src/compiler/graph/graph.ts';
import { float } from '../../src/compiler/graph/tensors.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import type { Fields } from '../../src/compiler/topology/config.ts';
import { STEP } from '../../src/compiler/training/training-step.ts';
import { measuredChoice } from '../../src/engines/onnx/measured-choice.ts';
import { openParallelSession } from '../../src/engines/onnx/parallel-session.ts';
import { openTrainingSession, type TrainingSession } from '../../src/engines/onnx/training-session.ts';
import { decodeWeights, type StoredWeight } from '../../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../../src/packages/tfjs/model-file.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { BENCH_MODELS } from './layers-models.ts';

const CLASSES = 10;
const OPTIONS = {
  loss: 'cross-entropy',
  optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
} as const;

export type BenchModelName = 'lenet' | 'lstm' | 'transformer';

/** Trains one of the models of the benches, with Adam on made-up examples. */
export interface Contender {
  readonly name: string;
  /** From the files of the model to a session that can run, in milliseconds, and of these what compiling took. */
  readonly readyMs: number;
  readonly compileMs: number;
  /** @param count numbers the steps, from 1. */
  step(count: number): Promise<unknown>;
  dispose(): Promise<void>;
}

export interface BenchTraining {
  readonly title: string;
  /** The whole step as one graph. */
  whole(threads: number): Promise<Contender>;
  /** Parts of the batch side by side, each on one thread. */
  parallel(parts: number): Promise<Contender>;
  /** The step as one graph, with inputs to run it. */
  profiled(): { readonly model: Uint8Array; readonly nodes: number; readonly feeds: ReadonlyMap<string, Tensor> };
}

const encoded = (graph: Graph): Uint8Array => Buffer.concat(encodeOnnx(graph).model);

export async function benchTraining(name: BenchModelName, batch: number): Promise<BenchTraining> {
  const { title, make, shape, example } = BENCH_MODELS[name]!;
  let topology: Fields = {};
  let weights: ReadonlyMap<string, StoredWeight> = new Map();
  await make().save({
    async save({ modelTopology, weightSpecs, weightData }) {
      topology = JSON.parse(JSON.stringify(modelTopology)) as Fields;
      weights = decodeWeights({ specs: weightSpecs as WeightSpec[], data: [weightData as ArrayBuffer] });
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
  });
  const data = Float32Array.from({ length: batch * shape.reduce((product, each) => product * each, 1) }, (_value, at) => example(at));
  const inputs = (graph: Graph, count: number): Map<string, Tensor> =>
    new Map<string, Tensor>([
      [graph.inputs[0]!.name, { dtype: 'FP32', shape: [batch, ...shape], data }],
      [STEP.target, { dtype: 'INT32', shape: [batch], data: Int32Array.from({ length: batch }, (_value, at) => at % CLASSES) }],
      [STEP.weights, { dtype: 'FP32', shape: [batch], data: new Float32Array(batch).fill(1 / batch) }],
      [STEP.rate, float(0.001)],
      [STEP.step, { dtype: 'FP64', shape: [], data: Float64Array.of(count) }],
    ]);

  async function contender<Compiled extends CompiledTraining>(
    contenderName: string,
    compile: () => Compiled,
    open: (compiled: Compiled) => Promise<TrainingSession>,
  ): Promise<Contender> {
    const begun = performance.now();
    const compiled = compile();
    const compileMs = performance.now() - begun;
    const session = await open(compiled);
    return {
      name: contenderName,
      readyMs: performance.now() - begun,
      compileMs,
      step: (count) => session.step(inputs(compiled.graph, count), [STEP.loss]),
      dispose: () => session.dispose(),
    };
  }

  const whole = (): CompiledTraining => compileTrainingStep(topology, weights, OPTIONS);
  return {
    title,
    whole: (threads) =>
      contender(`one graph, ${threads} threads`, whole, ({ graph, state, fixed }) =>
        openTrainingSession({ model: encoded(graph), state, fixed, threads }),
      ),
    parallel: (parts) =>
      contender(
        `data parallel, ${parts} parts`,
        () => compileSplitStep(topology, weights, OPTIONS)!,
        ({ graph, update, state, fixed, gradients }) =>
          openParallelSession({
            model: encoded(graph),
            update: encoded(update),
            state,
            fixed,
            gradients,
            parts,
            // All of them: a job would find out how many pay.
            workers: measuredChoice([parts]),
          }),
      ),
    profiled() {
      const { graph, state, fixed } = whole();
      const feeds = new Map([...inputs(graph, 1), ...[...state, ...fixed].map((each) => [each.name, each.initial] as const)]);
      return { model: encoded(graph), nodes: graph.nodes.length, feeds };
    },
  };
}
