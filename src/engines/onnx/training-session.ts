import type { InferenceSession } from 'onnxruntime-node';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { feedsOf, fetchesOf, openSession, pick, runSession } from './graph-session.ts';
import { createTrainingArrays, type FixedTensor, type StateTensor, type TrainingArrays } from './training-arrays.ts';

export interface TrainingSessionOptions {
  /** An ONNX model that computes a training step. */
  readonly model: Uint8Array;
  /** One that measures, and takes those of the arrays that it has among its inputs. Opened when it is first needed. */
  readonly evaluation?: Uint8Array | undefined;
  readonly state: readonly StateTensor[];
  /** Default: none. */
  readonly fixed?: readonly FixedTensor[];
  readonly threads: number;
}

export interface TrainingSession {
  /** Runs one step; the state is changed. @param outputs those wanted besides the state. */
  step(inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors>;
  /** Measures with the arrays as they are now. */
  evaluate(inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors>;
  /** The state and what is fixed, as it is now: a view that the next step but one writes over. */
  state(): NamedTensors;
  /** @param state arrays of the same lengths; what it lacks stays as it is. */
  restore(state: NamedTensors): void;
  dispose(): Promise<void>;
}

/** How a training measures: by a session that is opened when it is first needed. */
export function createEvaluation(
  model: Uint8Array | undefined,
  arrays: TrainingArrays,
  threads: number,
): Pick<TrainingSession, 'evaluate' | 'dispose'> {
  let session: InferenceSession | undefined;
  return {
    async evaluate(inputs, outputs) {
      if (model === undefined) throw new Error('This session was opened without a model that measures.');
      session ??= await openSession(model, threads);
      const feeds = feedsOf(inputs);
      arrays.feedInto(feeds, new Set(session.inputNames));
      return pick(await runSession(session, feeds, fetchesOf(outputs)), outputs);
    },
    dispose: async () => session?.release(),
  };
}

/**
 * Trains with ONNX Runtime on its CPU provider. Each step writes the state in place, so none allocates memory for it.
 * @throws SlipwayError COMPILE_FAILED when ONNX Runtime refuses the model, INFERENCE_FAILED from `step` and `evaluate`.
 */
export async function openTrainingSession(options: TrainingSessionOptions): Promise<TrainingSession> {
  const { model, evaluation, state, fixed = [], threads } = options;
  const session = await openSession(model, threads);
  const taken = new Set(session.inputNames);
  const arrays = createTrainingArrays(state, fixed);
  const measuring = createEvaluation(evaluation, arrays, threads);
  return {
    async step(inputs, outputs) {
      const feeds = feedsOf(inputs);
      const fetches = fetchesOf(outputs);
      arrays.feedInto(feeds, taken);
      arrays.fetchInto(fetches);
      const results = await runSession(session, feeds, fetches);
      arrays.swap();
      return pick(results, outputs);
    },
    evaluate: measuring.evaluate,
    state: arrays.values,
    restore: arrays.restore,
    async dispose() {
      await session.release();
      await measuring.dispose();
    },
  };
}
