import { z } from 'zod';
import { nameSchema, versionSchema } from './names.ts';

/** RFC 9110, token; a key of gRPC's metadata as well. */
const headerName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be the name of a header')
  .toLowerCase();

/**
 * How a candidate is let in beside the version that answers: `rollout` in slipway-model.json. The test is described in
 * src/rollouts/sequential-test.ts.
 */
const terms = {
  weight: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe('Share of the requests that the candidate answers (canary); 0 leaves all of them to the baseline.'),
  sticky: z
    .union([z.boolean(), z.strictObject({ header: headerName })], 'must be true, false or {"header": NAME}')
    .default(true)
    .describe(
      'The same key always has the same version while the weight stays, and keeps the candidate when it grows: the first 32 bits of the SHA-256 of `<model>/<candidate>/<key>`, as a fraction, are below the weight or not. The key is the client as the settings `clients.*` tell it (true), or a header, with gRPC a key of the metadata. False draws for each request, and so does a request without a key.',
    ),
  shadow: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      'Share of the requests that the baseline has answered which are run on the candidate, too, afterwards and with the lowest priority. Nobody gets these answers; they are compared.',
    ),
  tolerance: z
    .number()
    .min(0)
    .default(1e-3)
    .describe(
      'Numbers of a shadow answer agree when they differ by no more than this times the larger of 1 and the baseline’s number. Of a classifier only the class with the highest score must be the same.',
    ),
  automatic: z.boolean().default(false).describe('Promote or roll back as soon as the test says so; else it only tells.'),
  errorRate: z
    .number()
    .gt(0)
    .max(0.5)
    .default(0.05)
    .describe(
      'The test promotes a candidate that is beyond a bound, or rolls one back that is within all of them, with at most this probability, however often it is looked at.',
    ),
  maxFailureIncrease: z
    .number()
    .gt(0)
    .max(1)
    .default(0.01)
    .describe('Bound: by how much the share of failed requests may be higher than with the baseline.'),
  maxDisagreement: z.number().gt(0).max(1).default(0.02).describe('Bound: share of the shadow answers that may disagree.'),
};

/** What may be asked for. */
export const rolloutRequestSchema = z.strictObject({
  candidate: versionSchema.describe('The version that is to be let in.'),
  baseline: versionSchema.optional().describe('The version that it is compared with; the one that answers now when left out.'),
  label: nameSchema
    .optional()
    .describe('The requests that name this label are shared out; those that name neither label nor version when left out.'),
  ...terms,
});

/** As slipway-model.json has it. */
export const rolloutSchema = rolloutRequestSchema.extend({
  baseline: versionSchema,
  startedAt: z.iso.datetime().describe('When it began; the counts are those since then.'),
});

export type RolloutRequest = z.infer<typeof rolloutRequestSchema>;
export type Rollout = z.infer<typeof rolloutSchema>;

/** How a rollout ended; the last ones stay in slipway-model.json as `decisions` and are part of the lineage of both versions. */
export const rolloutDecisionSchema = z.strictObject({
  decision: z.enum(['promoted', 'rolled_back']),
  at: z.iso.datetime(),
  by: z
    .enum(['test', 'request', 'server'])
    .describe('`test`: on its own, `request`: because it was asked for, `server`: because it could not begin.'),
  reason: z.string(),
  candidate: versionSchema,
  baseline: versionSchema,
  label: nameSchema.optional(),
  /** What was counted until then. */
  counts: z.record(z.string(), z.number()),
});

export type RolloutDecision = z.infer<typeof rolloutDecisionSchema>;
