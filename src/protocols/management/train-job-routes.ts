import type { Config } from '../../config/schema.ts';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import type { Registry } from '../../registry/types.ts';
import { trainSpecSchema } from '../../jobs/training/spec.ts';
import { resolveSpec } from '../../jobs/training/train-work.ts';
import type { RouteDefinition } from '../http/route.ts';
import { createJobRoutes, type JobRouteLimits } from './job-routes.ts';
import { trainJobAnswer } from './job-schemas.ts';
import { TRAIN_JOB_EXAMPLE, TRAIN_SPEC_EXAMPLE } from './train-job-examples.ts';

export interface TrainJobRouteOptions extends JobRouteLimits {
  readonly jobs: Jobs;
  readonly datasets: DatasetCatalog;
  readonly registry: Registry;
  readonly packages: Config['packages'];
}

/** `/train-jobs`: training as a job. */
export function createTrainJobRoutes(options: TrainJobRouteOptions): RouteDefinition[] {
  const { jobs, datasets, registry, packages, maxBodyBytes, maxJsonDepth } = options;
  return createJobRoutes({
    jobs,
    kind: 'train',
    path: 'train-jobs',
    name: 'TrainJob',
    noun: 'training job',
    maxBodyBytes,
    maxJsonDepth,
    spec: { schema: trainSpecSchema, example: TRAIN_SPEC_EXAMPLE },
    answer: { schema: trainJobAnswer, example: TRAIN_JOB_EXAMPLE },
    submitting: {
      summary: 'Train a model on a dataset.',
      description:
        'Queues a job. It trains in a process of its own with a lower priority than serving and publishes the version that comes of it. The header Idempotency-Key names the request: sent again, it answers with the same job.',
    },
    events: '`prepared` (what the data became), `progress` (loss, examples per second, time left), `epoch` (metrics) and `result`',
    kept: 'What it has reached stays in its last checkpoint.',
    resumed: 'It goes on from its last checkpoint and comes to the same result as one that was never interrupted.',
    packages,
    publishes: ({ publish }) => publish !== undefined,
    prepare: async (spec) => ({ spec: await resolveSpec(spec, { datasets, registry }), priority: spec.priority }),
  });
}
