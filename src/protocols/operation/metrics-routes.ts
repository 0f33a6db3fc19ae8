import type { Histogram } from '../../inference/histogram.ts';
import type { ResponseCache } from '../../inference/response-cache.ts';
import type { InferenceStatistics } from '../../inference/statistics.ts';
import { encodePrometheus, type Metric, PROMETHEUS_CONTENT_TYPE, type Sample } from '../../observability/prometheus.ts';
import type { RolloutDescription, Rollouts } from '../../rollouts/rollouts.ts';
import type { Registry } from '../../registry/types.ts';
import { defineRoute, type RouteDefinition } from '../http/route.ts';

type Labels = Sample['labels'];

interface RolloutLabels {
  readonly role: 'candidate' | 'baseline';
  readonly outcome: string;
}

/** Buckets end at powers of two of a microsecond, from 64 µs to 33.6 s. */
const FIRST_EXPONENT = 6;
const LAST_EXPONENT = 25;

function histogramSamples(labels: Labels, histogram: Histogram): Sample[] {
  if (histogram.count === 0) return [];
  return [
    ...histogram
      .octaves(FIRST_EXPONENT, LAST_EXPONENT)
      .map(({ leSeconds, count }) => ({ suffix: '_bucket', labels: { ...labels, le: leSeconds }, value: count })),
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: histogram.count },
    { suffix: '_sum', labels, value: histogram.sumMs / 1_000 },
    { suffix: '_count', labels, value: histogram.count },
  ];
}

function requestMetrics(statistics: InferenceStatistics): Metric[] {
  const all = statistics.all().map(({ model, version, statistics: counted }) => ({ labels: { model, version }, counted }));
  const refusals = [...statistics.refusals].flatMap(([model, codes]) =>
    [...codes].map(([code, value]) => ({ labels: { model, version: '', outcome: code }, value })),
  );
  return [
    {
      name: 'slipway_requests_total',
      help: 'Predict requests by outcome: success, or the code of their error. The model is empty when there is none of the name.',
      type: 'counter',
      samples: [
        ...all.flatMap(({ labels, counted }) => [
          { labels: { ...labels, outcome: 'success' }, value: counted.success.count },
          ...[...counted.errors].map(([code, value]) => ({ labels: { ...labels, outcome: code }, value })),
        ]),
        ...refusals,
      ],
    },
    {
      name: 'slipway_request_duration_seconds',
      help: 'Time of answered requests from the arrival of the body to the encoded answer: all of their phases.',
      type: 'histogram',
      samples: all.flatMap(({ labels, counted }) => histogramSamples(labels, counted.total)),
    },
    {
      name: 'slipway_phase_duration_seconds',
      help: 'Parts of the time of answered requests.',
      type: 'histogram',
      samples: all.flatMap(({ labels, counted }) =>
        Object.entries(counted.phases).flatMap(([phase, histogram]) => histogramSamples({ ...labels, phase }, histogram)),
      ),
    },
    {
      name: 'slipway_batches_total',
      help: 'Runs of the engine by the rows that went together.',
      type: 'counter',
      samples: all.flatMap(({ labels, counted }) =>
        [...counted.batches].map(([rows, { compute }]) => ({ labels: { ...labels, rows }, value: compute.count })),
      ),
    },
  ];
}

function modelMetrics(registry: Pick<Registry, 'list' | 'memory'>): Metric[] {
  const { device, limitBytes, usedBytes, loads, evictions, refusals } = registry.memory();
  const loaded = registry
    .list()
    .flatMap(({ name, versions }) =>
      versions
        .filter((version) => version.loaded !== undefined)
        .map((version) => ({ labels: { model: name, version: version.version }, version })),
    );
  const ofDevice = (value: number): Sample[] => [{ labels: { device }, value }];
  return [
    {
      name: 'slipway_model_memory_bytes',
      help: 'Memory of the process that runs the version.',
      type: 'gauge',
      samples: loaded.map(({ labels, version }) => ({ labels, value: version.loaded?.memoryBytes ?? 0 })),
    },
    {
      name: 'slipway_runner_restarts_total',
      help: 'How often the process of the version was started again after a crash.',
      type: 'counter',
      samples: loaded.map(({ labels, version }) => ({ labels, value: version.restarts })),
    },
    {
      name: 'slipway_model_instances',
      help: 'Processes that run the version, by state.',
      type: 'gauge',
      samples: loaded.flatMap(({ labels, version }) =>
        [...Map.groupBy(version.instances, ({ state }) => state)].map(([state, { length }]) => ({
          labels: { ...labels, state },
          value: length,
        })),
      ),
    },
    {
      name: 'slipway_memory_budget_bytes',
      help: 'The setting memory.budgetBytes.',
      type: 'gauge',
      samples: limitBytes === undefined ? [] : ofDevice(limitBytes),
    },
    { name: 'slipway_memory_used_bytes', help: 'What all models take.', type: 'gauge', samples: ofDevice(usedBytes) },
    { name: 'slipway_model_loads_total', help: 'Loads begun.', type: 'counter', samples: ofDevice(loads) },
    {
      name: 'slipway_model_evictions_total',
      help: 'Models that left to make room or unused.',
      type: 'counter',
      samples: ofDevice(evictions),
    },
    { name: 'slipway_model_refusals_total', help: 'Loads refused because they do not fit.', type: 'counter', samples: ofDevice(refusals) },
  ];
}

function rolloutMetrics(all: readonly RolloutDescription[]): Metric[] {
  if (all.length === 0) return [];
  const samples = (values: (counts: RolloutDescription['counts']) => readonly (readonly [RolloutLabels, number])[]): Sample[] =>
    all.flatMap(({ model, rollout, counts }) =>
      values(counts).map(([{ role, outcome }, value]) => ({ labels: { model, version: rollout[role], role, outcome }, value })),
    );
  return [
    {
      name: 'slipway_rollout_requests_total',
      help: 'Requests that a rollout has given to one of its versions, since it began. `unavailable`: the candidate was not there.',
      type: 'counter',
      samples: samples((counts) => [
        [{ role: 'candidate', outcome: 'success' }, counts.candidateRequests - counts.candidateFailures],
        [{ role: 'candidate', outcome: 'failure' }, counts.candidateFailures],
        [{ role: 'candidate', outcome: 'unavailable' }, counts.unavailable],
        [{ role: 'baseline', outcome: 'success' }, counts.baselineRequests - counts.baselineFailures],
        [{ role: 'baseline', outcome: 'failure' }, counts.baselineFailures],
      ]),
    },
    {
      name: 'slipway_rollout_shadow_total',
      help: 'Requests that were run on the candidate, too, since the rollout began, by whether the answers agree.',
      type: 'counter',
      samples: samples((counts) => [
        [{ role: 'candidate', outcome: 'agreed' }, counts.shadowRequests - counts.disagreements],
        [{ role: 'candidate', outcome: 'disagreed' }, counts.disagreements],
        [{ role: 'candidate', outcome: 'dropped' }, counts.shadowDropped],
      ]),
    },
  ];
}

function cacheMetrics(cache: ResponseCache | undefined): Metric[] {
  if (cache === undefined) return [];
  const { outcomes, entries, bytes, evictions } = cache.statistics;
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  return [
    {
      name: 'slipway_response_cache_requests_total',
      help: 'Answers from memory (hit), by the run of an equal request (shared) and by a run of their own (miss).',
      type: 'counter',
      samples: Object.entries(outcomes).map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
    { name: 'slipway_response_cache_entries', help: 'Answers that are kept.', type: 'gauge', samples: one(entries) },
    { name: 'slipway_response_cache_bytes', help: 'What these take.', type: 'gauge', samples: one(bytes) },
    {
      name: 'slipway_response_cache_evictions_total',
      help: 'Answers that left because the room was needed.',
      type: 'counter',
      samples: one(evictions),
    },
  ];
}

function processMetrics(): Metric[] {
  const { user, system } = process.cpuUsage();
  return [
    {
      name: 'process_resident_memory_bytes',
      help: 'Resident memory of the gateway.',
      type: 'gauge',
      samples: [{ labels: {}, value: process.memoryUsage.rss() }],
    },
    {
      name: 'process_cpu_seconds_total',
      help: 'Processor time of the gateway.',
      type: 'counter',
      samples: [{ labels: {}, value: (user + system) / 1e6 }],
    },
  ];
}

/** `GET /metrics`, in the text format of Prometheus. */
export function createMetricsRoutes(
  registry: Pick<Registry, 'list' | 'memory'>,
  statistics: InferenceStatistics,
  rollouts: Pick<Rollouts, 'list'>,
  cache: ResponseCache | undefined,
): RouteDefinition[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/metrics',
      operationId: 'metrics',
      tag: 'operation',
      summary: 'Requests, times, batches, memory, evictions and restarts, for Prometheus.',
      responses: { 200: { description: 'Text of Prometheus, version 0.0.4.', contentType: 'text/plain' } },
      errors: [500],
      handle: async () => ({
        status: 200,
        contentType: PROMETHEUS_CONTENT_TYPE,
        payload: encodePrometheus([
          ...requestMetrics(statistics),
          ...modelMetrics(registry),
          ...rolloutMetrics(rollouts.list()),
          ...cacheMetrics(cache),
          ...processMetrics(),
        ]),
      }),
    }),
  ];
}
