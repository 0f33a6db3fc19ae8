import { type CompiledTraining, compileSplitStep, compileTrainingStep } from '../../../compiler/compile-training.ts';
import type { Graph } from '../../../compiler/graph/graph.ts';
import { float } from '../../../compiler/graph/tensors.ts';
import { encodeOnnx } from '../../../compiler/onnx/encode-onnx.ts';
import { slotName, STEP } from '../../../compiler/training/training-step.ts';
import { openParallelSession } from '../../../engines/onnx/parallel-session.ts';
import { openTrainingSession, type TrainingSession } from '../../../engines/onnx/training-session.ts';
import { initialWeights } from '../../../engines/tfjs/training/open-model.ts';
import { countedIn } from '../../../engines/training/micro-batches.ts';
import { layersModelFiles } from '../../../engines/training/model-files.ts';
import { slotState, weightState } from '../../../engines/training/state-names.ts';
import type { CreateTrainer, LayerConfig, StepResult, TrainerSpec, TrainingBatch, Values } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { StoredWeight } from '../../../packages/tfjs/decode-weights.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';
import { createDrawnInputs } from './drawn-inputs.ts';

function toTensor({ shape, data }: Values): Tensor {
  return { dtype: data instanceof Int32Array ? 'INT32' : 'FP32', shape, data };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** What each example counts in the loss, so that the sum is the mean over the batch. */
function exampleWeights({ target }: TrainingBatch, { loss, classWeights }: TrainerSpec): Tensor {
  const { shape, data } = target;
  const sizes = loss === 'cross-entropy' ? shape : shape.slice(0, 1);
  const share = 1 / (loss === 'cross-entropy' ? countedIn(target) : sizes[0]!);
  const weights = new Float32Array(sizeOf(sizes)).fill(share);
  if (loss === 'cross-entropy')
    for (let at = 0; at < weights.length; at += 1) weights[at] = data[at]! < 0 ? 0 : share * (classWeights?.[data[at]!] ?? 1);
  return { dtype: 'FP32', shape: sizes, data: weights };
}

/** The layers with what is frozen in their configs, as Keras has it. */
function withFrozen({ layers, frozen }: TrainerSpec): readonly LayerConfig[] {
  return layers.map((layer) =>
    frozen.includes(String(layer.config['name'])) ? { ...layer, config: { ...layer.config, trainable: false } } : layer,
  );
}

function resultOf(outputs: NamedTensors): StepResult {
  return { loss: outputs.get(STEP.loss)!.data[0] as number, outputs: outputs.get(STEP.outputs)!.data as Float32Array };
}

const RESULT = [STEP.loss, STEP.outputs];

interface Compiled extends Pick<CompiledTraining, 'graph' | 'state' | 'weights' | 'draws'> {
  open(): Promise<TrainingSession>;
}

/** On several threads, each computes a part of the batch; where layers look at the whole of it, all compute one graph. */
function compiled(spec: TrainerSpec, stored: ReadonlyMap<string, StoredWeight>, threads: number): Compiled {
  const topology = { class_name: 'Sequential', config: { name: 'model', layers: withFrozen(spec) } };
  const encoded = (graph: Graph): Uint8Array => Buffer.concat(encodeOnnx(graph).model);
  const rounds = spec.microBatches ?? 1;
  const split = threads === 1 && rounds === 1 ? undefined : compileSplitStep(topology, stored, spec);
  if (split !== undefined) {
    const { graph, update, evaluation, ...rest } = split;
    const models = { model: encoded(graph), update: encoded(update), evaluation: encoded(evaluation) };
    return { ...split, open: () => openParallelSession({ ...models, ...rest, parts: threads, rounds }) };
  }
  const whole = compileTrainingStep(topology, stored, spec);
  const { graph, evaluation, ...rest } = whole;
  const models = { model: encoded(graph), evaluation: encoded(evaluation) };
  return { ...whole, open: () => openTrainingSession({ ...models, ...rest, threads }) };
}

/**
 * Trains with ONNX Runtime, a whole step as one graph. It begins with the weights that tfjs makes, and its state and files
 * are those of the tfjs trainer.
 * @param threads for one step; another number may give other last digits
 * @throws from the function it gives: SlipwayError COMPILE_FAILED for a model that cannot be trained as one graph, naming the layer
 */
export function onnxTrainer(threads: number): CreateTrainer {
  return async (spec) => {
    const initial = await initialWeights(spec.layers, spec.frozen);
    const stored = new Map(
      initial.map(({ name, values }) => [name, { name, shape: values.shape, tensor: (): Tensor => toTensor(values) }]),
    );
    const { graph, state, weights, draws, open } = compiled(spec, stored, threads);
    const drawn = createDrawnInputs(draws, spec.seed);
    const input = graph.inputs[0]!.name;
    const shapes = new Map(initial.map(({ name, values }) => [name, values.shape]));
    const slots = new Map(
      weights.map((weight) => {
        const before = slotName(weight.input, '');
        return [weight, state.filter(({ name }) => name.startsWith(before)).map(({ name }) => name.slice(before.length))];
      }),
    );
    const session = await open();

    const inputsOf = (batch: TrainingBatch): [string, Tensor][] => [
      [input, toTensor(batch.inputs)],
      [STEP.target, toTensor(batch.target)],
      [STEP.weights, exampleWeights(batch, spec)],
      ...(batch.teacher === undefined ? [] : [[STEP.teacher, toTensor(batch.teacher)] as [string, Tensor]]),
    ];

    /** The arrays by the names of the model's files, with the inputs of the graph that they are. */
    const weightValues = (): Map<string, Values> => {
      const arrays = session.state();
      return new Map(
        weights.map(({ name, input: from, fromGraph }) => {
          const { shape, data } = fromGraph(arrays.get(from)!);
          return [name, { shape, data: (data as Float32Array).slice() }];
        }),
      );
    };

    return {
      engine: 'onnx cpu',
      parameterCount: initial.reduce((sum, { values, trained }) => sum + (trained ? values.data.length : 0), 0),
      step: async (batch, { learningRate, step }) =>
        resultOf(
          await session.step(
            new Map<string, Tensor>([
              ...inputsOf(batch),
              ...drawn(step, batch.inputs.shape[0]!),
              [STEP.rate, float(learningRate)],
              [STEP.step, { dtype: 'FP64', shape: [], data: Float64Array.of(step) }],
            ]),
            RESULT,
          ),
        ),
      evaluate: async (batch) => resultOf(await session.evaluate(new Map(inputsOf(batch)), RESULT)),
      state() {
        const arrays = session.state();
        const found = new Map([...weightValues()].map(([name, values]) => [weightState(name), values]));
        for (const weight of weights) {
          for (const slot of slots.get(weight)!) {
            const { data } = weight.fromGraph(arrays.get(slotName(weight.input, slot))!);
            found.set(slotState(slot, weight.name), { shape: [data.length], data: (data as Float32Array).slice() });
          }
        }
        return found;
      },
      restore(from) {
        const arrays = new Map<string, Tensor>();
        for (const weight of weights) {
          const values = from.get(weightState(weight.name));
          const shape = shapes.get(weight.name)!;
          if (values?.data.length !== sizeOf(shape))
            throw new SlipwayError('INVALID_MODEL', `The state has no weights "${weight.name}" of the shape [${shape.join(', ')}].`);
          arrays.set(weight.input, weight.toGraph(toTensor(values)));
          for (const slot of slots.get(weight)!) {
            const memory = from.get(slotState(slot, weight.name));
            if (memory !== undefined) arrays.set(slotName(weight.input, slot), weight.toGraph(toTensor(memory)));
          }
        }
        session.restore(arrays);
      },
      modelFiles: (layers) => layersModelFiles(layers, weightValues()),
      dispose: () => session.dispose(),
    };
  };
}
