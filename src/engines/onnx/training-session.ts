import { InferenceSession, type OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { cleanErrorText } from './error-text.ts';
import { sessionOptions } from './session-options.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

/** An array that goes into every step by its name. */
interface FixedTensor {
  readonly name: string;
  /** FP32. */
  readonly initial: Tensor;
}

/** One that comes out of a step changed, by another name. */
interface StateTensor extends FixedTensor {
  readonly next: string;
}

export interface TrainingSessionOptions {
  /** An ONNX model that computes a training step. */
  readonly model: Uint8Array;
  /** One that measures, and takes those of the arrays that it has among its inputs. Opened when it is first needed. */
  readonly evaluation?: Uint8Array;
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

type Values = Record<string, OnnxValue>;
type Fetches = Record<string, OnnxValue | null>;

async function open(model: Uint8Array, threads: number): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model, sessionOptions(threads));
  } catch (error) {
    const text = cleanErrorText(messageOf(error), '');
    throw new SlipwayError('COMPILE_FAILED', `ONNX Runtime cannot run the training step: ${text}`, { cause: error });
  }
}

async function run(session: InferenceSession, feeds: Values, fetches: Fetches): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime failed: ${cleanErrorText(messageOf(error), '')}`, { cause: error });
  }
}

/** Objects without a prototype, for names are those of layers. */
function feedsOf(inputs: NamedTensors): Values {
  const feeds = Object.create(null) as Values;
  for (const [name, tensor] of inputs) feeds[name] = toOrtValue(name, tensor);
  return feeds;
}

function fetchesOf(outputs: readonly string[]): Fetches {
  const fetches = Object.create(null) as Fetches;
  for (const name of outputs) fetches[name] = null;
  return fetches;
}

function pick(results: InferenceSession.ReturnType, outputs: readonly string[]): NamedTensors {
  return new Map(outputs.map((name) => [name, fromOrtValue(results[name]!)]));
}

const copyOf = ({ initial }: FixedTensor): OrtTensor =>
  new OrtTensor('float32', Float32Array.from(initial.data as Float32Array), [...initial.shape]);

/**
 * Trains with ONNX Runtime on its CPU provider. The state lies in two sets of tensors that swap with each step: one is
 * read, the other written in place, so no step allocates memory for it.
 * @throws SlipwayError COMPILE_FAILED when ONNX Runtime refuses the model, INFERENCE_FAILED from `step` and `evaluate`.
 */
export async function openTrainingSession(options: TrainingSessionOptions): Promise<TrainingSession> {
  const { model, evaluation, state, fixed = [], threads } = options;
  const session = await open(model, threads);
  const fixedNow = new Map(fixed.map((each) => [each.name, copyOf(each)]));
  let [now, next] = [state.map(copyOf), state.map(copyOf)];
  let measuring: InferenceSession | undefined;
  const arrays = (): Map<string, OrtTensor> => new Map([...state.map(({ name }, index) => [name, now[index]!] as const), ...fixedNow]);
  return {
    async step(inputs, outputs) {
      const feeds = feedsOf(inputs);
      const fetches = fetchesOf(outputs);
      for (const [name, tensor] of fixedNow) feeds[name] = tensor;
      for (const [index, { name, next: out }] of state.entries()) {
        feeds[name] = now[index]!;
        fetches[out] = next[index]!;
      }
      const results = await run(session, feeds, fetches);
      [now, next] = [next, now];
      return pick(results, outputs);
    },
    async evaluate(inputs, outputs) {
      if (evaluation === undefined) throw new Error('This session was opened without a model that measures.');
      measuring ??= await open(evaluation, threads);
      const taken = new Set(measuring.inputNames);
      const feeds = feedsOf(inputs);
      for (const [name, tensor] of arrays()) if (taken.has(name)) feeds[name] = tensor;
      return pick(await run(measuring, feeds, fetchesOf(outputs)), outputs);
    },
    state: () => new Map([...arrays()].map(([name, tensor]) => [name, fromOrtValue(tensor)])),
    restore(from) {
      for (const [name, tensor] of arrays()) {
        const values = from.get(name);
        if (values !== undefined) (tensor.data as Float32Array).set(values.data as Float32Array);
      }
    },
    async dispose() {
      await session.release();
      await measuring?.release();
    },
  };
}
