import type { Config } from '../../config/schema.ts';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import { resolveOptimizeSpec } from '../../jobs/optimization/resolve-spec.ts';
import { optimizeSpecSchema } from '../../jobs/optimization/spec.ts';
import type { Registry } from '../../registry/types.ts';
import type { RouteDefinition } from '../http/route.ts';
import { createJobRoutes, type JobRouteLimits } from './job-routes.ts';
import { optimizeJobAnswer } from './job-schemas.ts';
import { OPTIMIZE_JOB_EXAMPLE, OPTIMIZE_SPEC_EXAMPLE } from './optimize-job-examples.ts';

export interface OptimizeJobRouteOptions extends JobRouteLimits {
  readonly jobs: Jobs;
  readonly datasets: DatasetCatalog;
  readonly registry: Registry;
  readonly packages: Config['packages'];
}

/** `/optimize-jobs`: smaller and faster versions as a job. */
export function createOptimizeJobRoutes({
  jobs,
  datasets,
  registry,
  packages,
  maxBodyBytes,
  maxJsonDepth,
}: OptimizeJobRouteOptions): RouteDefinition[] {
  return createJobRoutes({
    jobs,
    kind: 'optimize',
    path: 'optimize-jobs',
    name: 'OptimizeJob',
    noun: 'optimization job',
    maxBodyBytes,
    maxJsonDepth,
    spec: { schema: optimizeSpecSchema, example: OPTIMIZE_SPEC_EXAMPLE },
    answer: { schema: optimizeJobAnswer, example: OPTIMIZE_JOB_EXAMPLE },
    submitting: {
      summary: 'Make a version smaller and faster, only if it is still good.',
      description:
        'Queues a job. It tries the techniques, each alone and together, measures every variant on this machine beside the version that it is made of, and publishes the best one that keeps to the limits; the others are shown with the reasons why not. The header Idempotency-Key names the request: sent again, it answers with the same job.',
    },
    events: '`prepared` (which rows are for what), `parent` (its measurement), `variant` (a row of the table) and `result`',
    kept: 'What it has measured stays.',
    resumed: 'It goes on with the variant that was being tried; what was measured before is not measured again.',
    packages,
    publishes: ({ publish }) => publish !== false,
    prepare: async (spec) => ({ spec: await resolveOptimizeSpec(spec, registry, datasets), priority: spec.priority }),
  });
}
