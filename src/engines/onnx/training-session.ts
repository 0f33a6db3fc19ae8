import { InferenceSession, type OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { cleanErrorText } from './error-text.ts';
import { sessionOptions } from './session-options.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

/** An array that goes into a step by one name and comes out of it changed by another. */
interface StateTensor {
  readonly name: string;
  readonly next: string;
  /** FP32. */
  readonly initial: Tensor;
}

export interface TrainingSessionOptions {
  /** An ONNX model that computes a training step. */
  readonly model: Uint8Array;
  readonly state: readonly StateTensor[];
  readonly threads: number;
}

export interface TrainingSession {
  /** Runs one step; the state is changed. @param outputs those wanted besides the state. */
  step(inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors>;
  /** The state as it is now: a view that the next step but one writes over. */
  state(): NamedTensors;
  /** @param state arrays of the same lengths; what it lacks stays as it is. */
  restore(state: NamedTensors): void;
  dispose(): Promise<void>;
}

type Values = Record<string, OnnxValue>;

/**
 * Trains with ONNX Runtime on its CPU provider. The state lies in two sets of tensors that swap with each step: one is
 * read, the other written in place, so no step allocates memory for it.
 * @throws SlipwayError COMPILE_FAILED when ONNX Runtime refuses the model, INFERENCE_FAILED from `step`.
 */
export async function openTrainingSession({ model, state, threads }: TrainingSessionOptions): Promise<TrainingSession> {
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(model, sessionOptions(threads));
  } catch (error) {
    const text = cleanErrorText(messageOf(error), '');
    throw new SlipwayError('COMPILE_FAILED', `ONNX Runtime cannot run the training step: ${text}`, { cause: error });
  }
  const copyOf = ({ initial }: StateTensor): OrtTensor =>
    new OrtTensor('float32', Float32Array.from(initial.data as Float32Array), [...initial.shape]);
  let [now, next] = [state.map(copyOf), state.map(copyOf)];
  return {
    async step(inputs, outputs) {
      const feeds = Object.create(null) as Values;
      const fetches = Object.create(null) as Record<string, OnnxValue | null>;
      for (const [name, tensor] of inputs) feeds[name] = toOrtValue(name, tensor);
      for (const [index, { name, next: out }] of state.entries()) {
        feeds[name] = now[index]!;
        fetches[out] = next[index]!;
      }
      for (const name of outputs) fetches[name] = null;
      let results: InferenceSession.ReturnType;
      try {
        results = await session.run(feeds, fetches);
      } catch (error) {
        throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime failed: ${cleanErrorText(messageOf(error), '')}`, { cause: error });
      }
      [now, next] = [next, now];
      return new Map(outputs.map((name) => [name, fromOrtValue(results[name]!)]));
    },
    state: () => new Map(state.map(({ name }, index) => [name, fromOrtValue(now[index]!)])),
    restore(from) {
      for (const [index, { name }] of state.entries()) {
        const values = from.get(name);
        if (values !== undefined) (now[index]!.data as Float32Array).set(values.data as Float32Array);
      }
    },
    dispose: () => session.release(),
  };
}
