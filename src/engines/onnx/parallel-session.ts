import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { type GradientSession, openGradientSession } from './gradient-session.ts';
import { startGradientWorker } from './gradient-worker.ts';
import { feedsOf, fetchesOf, openSession, pick, runSession } from './graph-session.ts';
import { type MeasuredChoice, measuredChoice } from './measured-choice.ts';
import { createTrainingArrays, type FixedTensor, type StateTensor } from './training-arrays.ts';
import { createEvaluation, type TrainingSession } from './training-session.ts';

export interface ParallelSessionOptions {
  /** An ONNX model that gives gradients of a part of a batch. What it gives as scalars is summed, the rest is one below the other. */
  readonly model: Uint8Array;
  /** One that changes the state by the sums of the gradients. A scalar that both give is the sum of both. */
  readonly update: Uint8Array;
  readonly evaluation?: Uint8Array;
  readonly state: readonly StateTensor[];
  readonly fixed?: readonly FixedTensor[];
  /** The weights of the state that have gradients, and the names of these. */
  readonly gradients: readonly { readonly weight: string; readonly name: string }[];
  /** How many parts of a batch are computed at once at most, each on one thread. */
  readonly parts: number;
  /** How often, one after the other, with the memory of one: the batch is divided into `parts` × `rounds`. Default 1. */
  readonly rounds?: number;
  /** How many threads compute the parts. Default: from all down to one, halved each time, the fastest as measured by steps now and then. */
  readonly workers?: MeasuredChoice;
}

/** A part of fewer examples costs more in its messages than it saves; so small batches are computed by fewer threads. */
const LEAST_EXAMPLES = 4;

/** All, half of them, a quarter, …, one. */
function halved(most: number): number[] {
  return most === 1 ? [1] : [most, ...halved(Math.floor(most / 2))];
}

/** Rows of an input from a part of the batch to another, as a view. */
function rowsOf({ dtype, shape, data }: Tensor, examples: number, from: number, to: number): Tensor {
  const [rows = 1, ...rest] = shape;
  const perExample = rows / examples;
  const width = data.length / examples;
  return { dtype, shape: [(to - from) * perExample, ...rest], data: (data as Float32Array).subarray(from * width, to * width) };
}

/** Results of parts as those of the whole. */
function joined(results: readonly NamedTensors[], names: readonly string[]): Map<string, Tensor> {
  return new Map(
    names.map((name) => {
      const tensors = results.map((each) => each.get(name)!);
      const [{ dtype, shape }] = tensors as [Tensor];
      const arrays = tensors.map(({ data }) => data as Float32Array);
      if (shape.length === 0) return [name, { dtype, shape, data: Float32Array.of(arrays.reduce((sum, [value]) => sum + value!, 0)) }];
      const data = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const array of arrays) {
        data.set(array, at);
        at += array.length;
      }
      return [name, { dtype, shape: [tensors.reduce((sum, tensor) => sum + tensor.shape[0]!, 0), ...shape.slice(1)], data }];
    }),
  );
}

/**
 * Trains with ONNX Runtime, data parallel: threads of this process compute the gradients of parts of the batch, their sums
 * make one update. The result is that of the whole batch but for the order in which numbers are added, which is always the same:
 * the parts are, however many threads compute them, and so are their sums.
 * @throws SlipwayError COMPILE_FAILED when ONNX Runtime refuses a model, INFERENCE_FAILED from `step` and `evaluate`.
 */
export async function openParallelSession(options: ParallelSessionOptions): Promise<TrainingSession> {
  const { model, update, evaluation, state, fixed = [], gradients, parts, rounds = 1 } = options;
  const workers = options.workers ?? measuredChoice(halved(parts));
  const arrays = createTrainingArrays(state, fixed);
  const shapes = new Map(state.map(({ name, initial: { shape } }) => [name, shape]));
  const sizes = gradients.map(({ weight }) => shapes.get(weight)!.reduce((product, size) => product * size, 1));
  const total = sizes.reduce((sum, size) => sum + size, 0);

  /** All gradients of a part in one array, and views of each. */
  function gradientArrays(): { readonly flat: Float32Array; readonly named: NamedTensors } {
    const flat = new Float32Array(new SharedArrayBuffer(total * Float32Array.BYTES_PER_ELEMENT));
    let at = 0;
    const named = gradients.map(({ weight, name }, index): [string, Tensor] => {
      const data = flat.subarray(at, (at += sizes[index]!));
      return [name, { dtype: 'FP32', shape: shapes.get(weight)!, data }];
    });
    return { flat, named: new Map(named) };
  }

  const memory = Array.from({ length: parts }, gradientArrays);
  const own = await openGradientSession({ model, gradients: memory[0]!.named, threads: 1 });
  const others = memory.slice(1).map(({ named }) => startGradientWorker({ model: Uint8Array.from(model), gradients: named, threads: 1 }));
  const computing: readonly Pick<GradientSession, 'run' | 'dispose'>[] = [own, ...others];
  // On one thread: those of a pool would spin for a while after each update and take time from the gradients.
  const updating = await openSession(update, 1);
  const updateInputs = new Set(updating.inputNames);
  const batchInputs = new Set(own.inputNames);
  const measuring = createEvaluation(evaluation, arrays, parts);

  const whole = gradientArrays();

  /** Gradients of parts out, sums of a batch in. This is where those of other machines would be added. */
  function sumGradients(used: number, isFirst: boolean): void {
    const { flat: sums } = whole;
    for (const [index, { flat }] of memory.slice(0, used).entries()) {
      if (isFirst && index === 0) sums.set(flat);
      else for (let at = 0; at < total; at += 1) sums[at] = sums[at]! + flat[at]!;
    }
  }

  return {
    async step(inputs, outputs) {
      const batch = [...inputs].filter(([name]) => batchInputs.has(name));
      const examples = Math.min(...batch.map(([, { shape }]) => shape[0]!));
      const used = Math.max(1, Math.min(parts, Math.floor(examples / (rounds * LEAST_EXAMPLES))));
      const count = Math.min(examples, used * rounds);
      const bounds = Array.from({ length: count + 1 }, (_part, index) => Math.floor((examples * index) / count));
      const weights = arrays.values();
      const found: NamedTensors[] = [];
      const atOnce = Math.min(workers.now, used);
      const begun = performance.now();
      for (let first = 0; first < count; first += atOnce) {
        // The other threads begin before this one is busy.
        const running = computing.slice(0, Math.min(atOnce, count - first)).map((session, index) => {
          const [from, to] = [bounds[first + index]!, bounds[first + index + 1]!];
          const part = new Map(batch.map(([name, tensor]) => [name, rowsOf(tensor, examples, from, to)]));
          return session.run(weights, part, outputs);
        });
        // All must have ended, whatever became of one: the next run writes where they write.
        await Promise.allSettled(running);
        found.push(...(await Promise.all(running)));
        sumGradients(running.length, first === 0);
      }
      // What a smaller batch costs says nothing of the others.
      if (used === parts) workers.tell((performance.now() - begun) / examples);
      const results = joined(found, outputs);

      const scalars = outputs.filter((name) => updating.outputNames.includes(name));
      const feeds = feedsOf(new Map([...inputs].filter(([name]) => updateInputs.has(name))));
      Object.assign(feeds, feedsOf(whole.named));
      arrays.feedInto(feeds, updateInputs);
      const fetches = fetchesOf(scalars);
      arrays.fetchInto(fetches);
      const added = pick(await runSession(updating, feeds, fetches), scalars);
      arrays.swap();
      for (const [name, { data }] of added) (results.get(name)!.data as Float32Array)[0]! += data[0] as number;
      return results;
    },
    evaluate: measuring.evaluate,
    state: arrays.values,
    restore: arrays.restore,
    async dispose() {
      await Promise.all(computing.map((session) => session.dispose()));
      await updating.release();
      await measuring.dispose();
    },
  };
}
