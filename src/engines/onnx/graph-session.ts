import { InferenceSession, type OnnxValue } from 'onnxruntime-node';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { cleanErrorText } from './error-text.ts';
import { sessionOptions } from './session-options.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

/* Sessions of graphs of training, whose inputs and outputs go by names and some of which lie in arrays that stay. */

export type Values = Record<string, OnnxValue>;
export type Fetches = Record<string, OnnxValue | null>;

/** @throws SlipwayError COMPILE_FAILED when ONNX Runtime refuses the model of a training step */
export async function openSession(model: Uint8Array, threads: number): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model, sessionOptions(threads));
  } catch (error) {
    const text = cleanErrorText(messageOf(error), '');
    throw new SlipwayError('COMPILE_FAILED', `ONNX Runtime cannot run the training step: ${text}`, { cause: error });
  }
}

/** @throws SlipwayError INFERENCE_FAILED */
export async function runSession(session: InferenceSession, feeds: Values, fetches: Fetches): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime failed: ${cleanErrorText(messageOf(error), '')}`, { cause: error });
  }
}

/** Objects without a prototype, for names are those of layers. */
export function feedsOf(inputs: NamedTensors): Values {
  const feeds = Object.create(null) as Values;
  for (const [name, tensor] of inputs) feeds[name] = toOrtValue(name, tensor);
  return feeds;
}

export function fetchesOf(outputs: readonly string[]): Fetches {
  const fetches = Object.create(null) as Fetches;
  for (const name of outputs) fetches[name] = null;
  return fetches;
}

export function pick(results: InferenceSession.ReturnType, outputs: readonly string[]): NamedTensors {
  return new Map(outputs.map((name) => [name, fromOrtValue(results[name]!)]));
}
