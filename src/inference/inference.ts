import type { Registry, ReadyVersion } from '../registry/types.ts';
import type { Runner } from '../runners/runner.ts';
import { createQueue, type Queue } from '../scheduler/queue.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import { checkInputs, checkOutputs } from './check-inputs.ts';
import type { Inference, InferenceRequest, InferenceResponse } from './types.ts';

export interface InferenceOptions {
  readonly registry: Pick<Registry, 'resolve'>;
  readonly maxQueueDepth: number;
  /** Longest time of a request that names no deadline, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/** Requests that go to a runner together at the most. */
const MAX_AHEAD = 16;

/** The data plane: every protocol's requests come through here. */
export function createInference(options: InferenceOptions): Inference & { close(): void } {
  const { registry, maxQueueDepth, requestTimeoutMs } = options;
  const queues = new WeakMap<Runner, Queue>();
  let closed = false;

  function queueOf(runner: Runner): Queue {
    let queue = queues.get(runner);
    if (queue === undefined) {
      queue = createQueue({ maxDepth: maxQueueDepth, maxAhead: MAX_AHEAD });
      queues.set(runner, queue);
    }
    return queue;
  }

  async function predict(version: ReadyVersion, request: Omit<InferenceRequest, 'reference'>): Promise<InferenceResponse> {
    const startedAt = performance.now();
    const outputs = checkOutputs(request.outputs, version.signature);
    checkInputs(request.inputs, version.signature);
    const release = version.acquire();
    try {
      const { value, queueMs } = await queueOf(version.runner).submit(() => version.runner.run(request.inputs, outputs), {
        deadline: Math.min(request.deadline ?? Infinity, startedAt + requestTimeoutMs),
        signal: request.signal,
      });
      return {
        model: version.model,
        version: version.version,
        outputs: value.outputs,
        times: { queueMs, computeMs: value.computeNs / 1e6, totalMs: performance.now() - startedAt },
      };
    } finally {
      release();
    }
  }

  return {
    resolve(reference) {
      if (closed) throw new SlipwayError('SHUTTING_DOWN', 'The server is stopping.', { retryAfterMs: 1_000 });
      return registry.resolve(reference);
    },
    predict,
    /** From now on new work is refused; what is in flight goes on. */
    close() {
      closed = true;
    },
  };
}
