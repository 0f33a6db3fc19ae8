import type { Registry, ReadyVersion } from '../registry/types.ts';
import type { Runner } from '../runners/runner.ts';
import { rowsOf, type Work } from '../scheduler/batch.ts';
import { type Batcher, createBatcher, type Outcome } from '../scheduler/batcher.ts';
import { createQueue, type Queue } from '../scheduler/queue.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import { checkInputs, checkOutputs } from './check-inputs.ts';
import type { Inference, InferenceRequest, InferenceResponse } from './types.ts';

export interface InferenceOptions {
  readonly registry: Pick<Registry, 'resolve'>;
  readonly maxQueueDepth: number;
  /** Longest time of a request that names no deadline, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly maxBatchSize: number;
  readonly batchLatencyMs: number;
  readonly defaultPriority: number;
}

/** What stands in front of one runner. */
interface Lane {
  readonly queue: Queue<Work, Outcome>;
  readonly batcher: Batcher;
}

/** The data plane: every protocol's requests come through here. */
export function createInference(options: InferenceOptions): Inference & { close(): void } {
  const { registry, maxQueueDepth, requestTimeoutMs, maxBatchSize, batchLatencyMs, defaultPriority } = options;
  const lanes = new WeakMap<Runner, Lane>();
  let closed = false;

  function laneOf({ runner, signature }: ReadyVersion): Lane {
    let lane = lanes.get(runner);
    if (lane === undefined) {
      const batcher = createBatcher(runner, signature, { maxBatchSize, batchLatencyMs });
      lane = { batcher, queue: createQueue({ ...batcher, maxDepth: () => maxQueueDepth }) };
      lanes.set(runner, lane);
    }
    return lane;
  }

  async function predict(version: ReadyVersion, request: Omit<InferenceRequest, 'reference'>): Promise<InferenceResponse> {
    const startedAt = performance.now();
    const { inputs, deadline = Infinity, signal, priority = 0 } = request;
    const outputs = checkOutputs(request.outputs, version.signature);
    checkInputs(inputs, version.signature);
    const release = version.acquire();
    try {
      const { value, queueMs } = await laneOf(version).queue.submit(
        { inputs, outputs, rows: rowsOf(inputs) },
        { deadline: Math.min(deadline, startedAt + requestTimeoutMs), signal, priority: priority === 0 ? defaultPriority : priority },
      );
      return {
        model: version.model,
        version: version.version,
        outputs: value.outputs,
        times: { queueMs, computeMs: value.computeMs, totalMs: performance.now() - startedAt },
        run: { rows: value.batchRows, leads: value.leads },
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
