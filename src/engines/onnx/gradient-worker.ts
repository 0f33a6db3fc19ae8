import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { decodeError } from '../../errors/encode.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { GradientSession, GradientSessionOptions } from './gradient-session.ts';
import type { GradientReply, GradientRequest, GradientTask } from './gradient-thread.ts';

/** TypeScript when run from source, JavaScript when compiled. */
const PROGRAM = new URL(`./gradient-thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/** A copy that can be given away: a message would carry the whole array that a part is of. */
function partOf({ dtype, shape, data }: Tensor): Tensor {
  return { dtype, shape, data: (data as Float32Array).slice() };
}

/** A gradient session in a thread of its own. Its gradients must lie in shared memory, as the weights that it is given. */
export function startGradientWorker(options: GradientSessionOptions): Pick<GradientSession, 'run' | 'dispose'> {
  const worker = new Worker(PROGRAM, { workerData: options });
  let answer: PromiseWithResolvers<NamedTensors> | undefined;
  /** Why the thread has ended. */
  let ended: SlipwayError | undefined;

  function settle(settled: (waiting: PromiseWithResolvers<NamedTensors>) => void): void {
    worker.unref();
    if (answer !== undefined) settled(answer);
    answer = undefined;
  }

  function end(cause: unknown): void {
    const error = (ended ??= new SlipwayError('INFERENCE_FAILED', `A thread that computes gradients has ended: ${messageOf(cause)}`, {
      cause,
    }));
    settle(({ reject }) => reject(error));
  }

  worker.on('message', (reply: GradientReply) =>
    settle(({ resolve, reject }) => ('error' in reply ? reject(decodeError(reply.error)) : resolve(reply.results))),
  );
  worker.on('error', end);
  worker.on('exit', (code) => end(new Error(`exit ${code}`)));
  // It ends with the process, whatever it does.
  worker.unref();
  return {
    async run(weights, inputs, outputs) {
      if (ended !== undefined) throw ended;
      const parts = new Map([...inputs].map(([name, tensor]) => [name, partOf(tensor)]));
      const moved = [...parts.values()].map(({ data }) => (data as Float32Array<ArrayBuffer>).buffer);
      answer = Promise.withResolvers();
      worker.ref();
      worker.postMessage({ weights, inputs: parts, outputs } satisfies GradientTask, moved);
      return answer.promise;
    },
    async dispose() {
      if (ended !== undefined) return;
      worker.ref();
      const exit = once(worker, 'exit');
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's, not a window's
      worker.postMessage('close' satisfies GradientRequest);
      await exit;
    },
  };
}
