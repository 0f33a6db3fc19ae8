import type { z } from 'zod';
import type { datasetAnswer, datasetList } from './dataset-schemas.ts';
import type { lineageAnswer, modelAnswer, versionAnswer } from './schemas.ts';

/** Answers for the OpenAPI document. */
export const VERSION_EXAMPLE: z.infer<typeof versionAnswer> = {
  version: 1,
  state: 'ready',
  reason: '',
  format: 'onnx',
  engine: 'onnx',
  backend: 'cpu',
  device: 'cpu',
  engineReason: 'The engine onnx, the only one for the format onnx. ONNX Runtime on its CPU provider.',
  memoryBytes: 86_966_272,
  threads: 1,
  warmUp: { inputs: 'synthetic', runs: 2, firstMs: 1.25, lastMs: 0.25 },
  onDemand: false,
  restarts: 0,
  instances: [{ state: 'ready', pid: 4_711, restarts: 0, inFlight: 0 }],
  signature: { inputs: [{ name: 'x', dtype: 'FP32', shape: [-1] }], outputs: [{ name: 'y', dtype: 'FP32', shape: [-1] }] },
  manifest: { description: 'Three times as much.' },
  latency: {
    requests: 1_000,
    total: { p50Ms: 0.42, p95Ms: 0.71, p99Ms: 1.3 },
    decode: { p50Ms: 0.05, p95Ms: 0.08, p99Ms: 0.1 },
    queue: { p50Ms: 0.1, p95Ms: 0.2, p99Ms: 0.5 },
    compute: { p50Ms: 0.2, p95Ms: 0.3, p99Ms: 0.5 },
    transfer: { p50Ms: 0.1, p95Ms: 0.2, p99Ms: 0.3 },
    encode: { p50Ms: 0.02, p95Ms: 0.03, p99Ms: 0.04 },
  },
};

export const MODEL_EXAMPLE: z.infer<typeof modelAnswer> = {
  name: 'times-three',
  defaultVersion: 1,
  labels: { stable: 1 },
  versionPolicy: { latest: 1 },
  pinned: false,
  reason: '',
  versions: [VERSION_EXAMPLE],
};

export const LINEAGE_EXAMPLE: z.infer<typeof lineageAnswer> = {
  model: 'wine',
  version: 1,
  metrics: { accuracy: 1 },
  lineage: {
    job: '6f1e7d3a-9a52-4c1d-9e8f-7a100192f7c4',
    slipway: '0.1.0',
    dataset: { name: 'wine', digest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
    spec: { dataset: 'wine', target: 'kind', architecture: { kind: 'linear' }, seed: 1 },
    engine: 'tfjs wasm',
  },
};

const DATASET_SUMMARY = {
  id: '0192f7c4-6f1e-7d3a-9a52-3c1d5e8f7a10',
  name: 'wine',
  format: 'csv',
  createdAt: '2026-11-24T12:00:00.000Z',
  rows: 2,
  bytes: 4_096,
  digest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
} as const;

export const DATASET_EXAMPLE: z.infer<typeof datasetAnswer> = {
  ...DATASET_SUMMARY,
  columns: [
    { name: 'alcohol', type: 'number', missing: 0, min: 12.3, max: 13.1, mean: 12.7, std: 0.4 },
    { name: 'cultivar', type: 'category', missing: 0, values: [{ value: 'barolo', count: 2 }] },
  ],
  preview: [
    { alcohol: 12.3, cultivar: 'barolo' },
    { alcohol: 13.1, cultivar: 'barolo' },
  ],
  skipped: { count: 0, first: [] },
};

export const DATASETS_EXAMPLE: z.infer<typeof datasetList> = {
  datasets: [DATASET_SUMMARY],
  coming: [{ name: 'flights', state: 'reading', since: '2026-11-24T12:00:00.000Z', rows: 1_250_000, skipped: 0 }],
};
