import type { z } from 'zod';
import { trainSpecSchema } from '../../jobs/training/spec.ts';
import type { trainJobAnswer } from './job-schemas.ts';

/** A request and its answer, for the OpenAPI document. */
export const TRAIN_SPEC_EXAMPLE: z.input<typeof trainSpecSchema> = {
  dataset: 'wine',
  target: 'kind',
  architecture: { kind: 'mlp' },
  optimizer: { kind: 'adam', learningRate: 0.001 },
  epochs: 60,
  batchSize: 32,
  seed: 1,
  publish: { model: 'wine' },
};

export const TRAIN_JOB_EXAMPLE: z.infer<typeof trainJobAnswer> = {
  id: '6f1e7d3a-9a52-4c1d-9e8f-7a100192f7c4',
  state: 'succeeded',
  reason: '',
  progress: 1,
  metrics: { loss: 0.05, accuracy: 1, precision: 1, recall: 1, f1: 1 },
  result: {
    published: { model: 'wine', version: 1 },
    engine: 'tfjs wasm',
    parameters: 3_075,
    weightsDigest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    epochs: 60,
    metrics: { loss: 0.05, accuracy: 1, precision: 1, recall: 1, f1: 1 },
    measuredOn: 'test',
    confusion: {
      labels: ['barbera', 'barolo', 'grignolino'],
      counts: [
        [5, 0, 0],
        [0, 6, 0],
        [0, 0, 7],
      ],
    },
  },
  spec: trainSpecSchema.parse(TRAIN_SPEC_EXAMPLE),
  priority: 0,
  attempts: 1,
  createdAt: '2026-11-24T12:00:00.000Z',
  startedAt: '2026-11-24T12:00:00.010Z',
  endedAt: '2026-11-24T12:00:04.000Z',
};
