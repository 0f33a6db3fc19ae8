import type { z } from 'zod';
import { optimizeSpecSchema } from '../../jobs/optimization/spec.ts';
import type { optimizeJobAnswer } from './job-schemas.ts';

/** A request and its answer, for the OpenAPI document. */
export const OPTIMIZE_SPEC_EXAMPLE: z.input<typeof optimizeSpecSchema> = {
  model: 'digits',
  techniques: ['compile', 'weights-uint8'],
  data: 'digits-test',
  limits: { accuracyDrop: 0.005 },
};

export const OPTIMIZE_JOB_EXAMPLE: z.infer<typeof optimizeJobAnswer> = {
  id: '0b8e5a0c-6d1c-4a53-8a0e-0f6f3c1d2e9b',
  state: 'succeeded',
  reason: '',
  progress: 1,
  metrics: { accuracy: 0.99, speedup: 1, sizeRatio: 3.9 },
  result: {
    published: { model: 'digits', version: 2 },
    data: {
      source: 'the dataset digits-test',
      digest: 'bc6b63550c8a82f6ecccd9458252069fb030ee802997b8242e71d5146b0cbf0e',
      target: 'label',
      rows: { evaluation: 1_600, calibration: 400, fineTuning: 0 },
      seed: 0,
      split: '0.2 of the rows, drawn by the seed, calibrate; the rest measure',
    },
    parent: {
      model: 'digits',
      version: 1,
      engine: 'onnx cpu, compiled',
      sizeBytes: 250_000,
      compressedBytes: 230_000,
      multiplications: 416_520,
      accuracy: 0.99,
      latencies: [
        { batch: 1, ms: 0.05 },
        { batch: 32, ms: 0.6 },
      ],
      onFront: false,
    },
    variants: [
      {
        techniques: [{ kind: 'weights-uint8' }],
        verdict: 'published',
        reasons: [],
        notes: ['weights are stored as uint8 and computed with as FP32'],
        layers: [],
        measurement: {
          engine: 'onnx cpu, compiled',
          sizeBytes: 64_000,
          compressedBytes: 55_000,
          multiplications: 416_520,
          sizeRatio: 3.9,
          accuracy: 0.99,
          latencies: [{ batch: 1, ms: 0.05, parentMs: 0.05, speedup: 1, pValue: 0.69 }],
          comparison: {
            parentAccuracy: 0.99,
            accuracyDrop: 0,
            accuracyDropUpper95: 0.001,
            agreement: 1,
            onlyParentRight: 0,
            onlyVariantRight: 0,
            pValue: 1,
          },
        },
        onFront: true,
      },
    ],
    untried: [],
  },
  spec: { ...optimizeSpecSchema.parse(OPTIMIZE_SPEC_EXAMPLE), version: 1 },
  priority: 0,
  attempts: 1,
  createdAt: '2026-11-24T12:00:00.000Z',
  startedAt: '2026-11-24T12:00:00.010Z',
  endedAt: '2026-11-24T12:00:04.000Z',
};
