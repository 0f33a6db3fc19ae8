import { Tensor as OrtTensor } from 'onnxruntime-node';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { feedsOf, fetchesOf, openSession, pick, runSession } from './graph-session.ts';

export interface GradientSessionOptions {
  /** An ONNX model that gives gradients by their names. */
  readonly model: Uint8Array;
  /** Where each gradient is written, by its name. */
  readonly gradients: NamedTensors;
  readonly threads: number;
}

/** Computes the gradients of a part of a batch. */
export interface GradientSession {
  readonly inputNames: readonly string[];
  /** Writes the gradients. @param weights at which they are taken. @param outputs those wanted besides. */
  run(weights: NamedTensors, inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors>;
  dispose(): Promise<void>;
}

/** @throws SlipwayError COMPILE_FAILED; INFERENCE_FAILED from `run` */
export async function openGradientSession({ model, gradients, threads }: GradientSessionOptions): Promise<GradientSession> {
  const session = await openSession(model, threads);
  const inputNames = new Set(session.inputNames);
  const asOrt = ({ data, shape }: Tensor): OrtTensor => new OrtTensor('float32', data as Float32Array, [...shape]);
  const written = [...gradients].map(([name, tensor]) => [name, asOrt(tensor)] as const);
  return {
    inputNames: session.inputNames,
    async run(weights, inputs, outputs) {
      const feeds = feedsOf(new Map([...weights].filter(([name]) => inputNames.has(name))));
      Object.assign(feeds, feedsOf(inputs));
      const fetches = fetchesOf(outputs);
      for (const [name, tensor] of written) fetches[name] = tensor;
      return pick(await runSession(session, feeds, fetches), outputs);
    },
    dispose: () => session.release(),
  };
}
