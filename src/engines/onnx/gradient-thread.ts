import { parentPort, workerData } from 'node:worker_threads';
import { encodeError, type EncodedError } from '../../errors/encode.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { type GradientSessionOptions, openGradientSession } from './gradient-session.ts';

/* The program of a thread that computes gradients beside others. Weights and gradients lie in memory that all share. */

export interface GradientTask {
  readonly weights: NamedTensors;
  readonly inputs: NamedTensors;
  readonly outputs: readonly string[];
}

/** What a thread is sent: a task, or that no more will come. */
export type GradientRequest = GradientTask | 'close';

export type GradientReply = { readonly results: NamedTensors } | { readonly error: EncodedError };

const port = parentPort!;
const opening = openGradientSession(workerData as GradientSessionOptions);

// The first task tells.
opening.catch(() => undefined);

/** Lets the thread end by itself. To end it from outside while ONNX Runtime's binding is called ends the whole process. */
function close(): void {
  void opening
    .then((session) => session.dispose())
    .catch(() => undefined)
    .then(() => port.close());
}

port.on('message', (request: GradientRequest) => {
  if (request === 'close') return close();
  const { weights, inputs, outputs } = request;
  void opening
    .then((session) => session.run(weights, inputs, outputs))
    .then(
      (results): GradientReply => ({ results }),
      (error: unknown): GradientReply => ({ error: encodeError(error) }),
    )
    .then((reply) => port.postMessage(reply));
});
