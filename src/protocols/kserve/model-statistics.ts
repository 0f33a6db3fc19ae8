import type { VersionStatistics } from '../../inference/statistics.ts';
import type { VersionDescription } from '../../registry/types.ts';

/**
 * The statistics of a version in the names of Triton's statistics extension: for JSON as they are, and for gRPC the
 * message `ModelStatistics`. The way of a request to the runner and back is one time here; it is told as
 * `compute_input`.
 */
export function encodeModelStatistics(model: string, { version, loaded }: VersionDescription, statistics: VersionStatistics): object {
  const { success, fail, queue, compute, transfer, cache } = statistics;
  const computed = { count: transfer.count, ns: 0 };
  return {
    name: model,
    version: String(version),
    last_inference: statistics.lastInferenceAt,
    inference_count: statistics.inferenceCount,
    execution_count: statistics.executionCount,
    inference_stats: {
      success,
      fail,
      queue,
      compute_input: transfer,
      compute_infer: compute,
      compute_output: computed,
      cache_hit: { count: cache.hit.count + cache.shared.count, ns: cache.hit.ns + cache.shared.ns },
      cache_miss: cache.miss,
    },
    response_stats: {},
    batch_stats: [...statistics.batches]
      .toSorted(([a], [b]) => a - b)
      .map(([size, batch]) => ({
        batch_size: size,
        compute_input: batch.transfer,
        compute_infer: batch.compute,
        compute_output: { count: batch.compute.count, ns: 0 },
      })),
    // The whole runner process, which is in the machine's memory whatever device computes.
    memory_usage: loaded === undefined ? [] : [{ type: 'CPU', id: 0, byte_size: loaded.memoryBytes }],
  };
}
