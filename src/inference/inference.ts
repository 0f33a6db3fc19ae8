import type { Registry, ReadyVersion } from '../registry/types.ts';
import type { Lanes } from '../scheduler/lanes.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import { checkInputs, checkOutputs } from '../tensor/check-inputs.ts';
import type { Completion, Work } from '../scheduler/types.ts';
import type { CachedCompletion, ResponseCache } from './response-cache.ts';
import type { Inference, InferenceRequest, InferenceResponse } from './types.ts';

export interface InferenceOptions {
  readonly registry: Pick<Registry, 'find' | 'demand'>;
  readonly lanes: Pick<Lanes, 'of'>;
  /** Undefined to run every request. */
  readonly responseCache?: ResponseCache | undefined;
  /** Longest time of a request that names no deadline, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly defaultPriority: number;
}

/** The data plane: every protocol's requests come through here. */
export function createInference(options: InferenceOptions): Inference & { close(): void } {
  const { registry, lanes, responseCache, requestTimeoutMs, defaultPriority } = options;
  let closed = false;

  async function predict(version: ReadyVersion, request: Omit<InferenceRequest, 'reference'>): Promise<InferenceResponse> {
    const startedAt = performance.now();
    const { inputs, client, deadline = Infinity, signal, priority = 0 } = request;
    const outputs = checkOutputs(request.outputs, version.signature);
    checkInputs(inputs, version.signature);
    const release = version.acquire();
    try {
      const work: Work = {
        inputs,
        outputs,
        deadline: Math.min(deadline, startedAt + requestTimeoutMs),
        priority: priority === 0 ? defaultPriority : priority,
        client,
        signal,
      };
      const run = (): Promise<Completion> => lanes.of(version).submit(work);
      const done: CachedCompletion = responseCache === undefined ? await run() : await responseCache.complete(version, work, run);
      return {
        model: version.model,
        version: version.version,
        outputs: done.outputs,
        times: { startedAt, queueMs: done.queueMs, computeMs: done.computeMs, totalMs: performance.now() - startedAt, cache: done.cache },
        run: { rows: done.batchRows, leads: done.leads, batch: done.batch },
      };
    } finally {
      release();
    }
  }

  return {
    resolve(reference, _requester, patience) {
      if (closed) throw new SlipwayError('SHUTTING_DOWN', 'The server is stopping.', { retryAfterMs: 1_000 });
      const ready = registry.find(reference);
      if (ready !== undefined) return ready;
      const deadline = Math.min(patience?.deadline ?? Infinity, performance.now() + requestTimeoutMs);
      return registry.demand(reference, { deadline, signal: patience?.signal });
    },
    predict,
    /** From now on new work is refused; what is in flight goes on. */
    close() {
      closed = true;
    },
  };
}
