import { z } from 'zod';
import type { Histogram } from '../../inference/histogram.ts';
import { rolloutDecisionSchema, rolloutRequestSchema, rolloutSchema } from '../../packages/rollout.ts';
import { CRITERIA, NO_COUNTS, type RolloutCounts } from '../../rollouts/judgement.ts';
import type { RolloutDescription, Rollouts } from '../../rollouts/rollouts.ts';
import { parseJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import { checkInput } from '../http/check-input.ts';
import { modelParams } from '../http/path-params.ts';
import { defineRoute, json, type RouteDefinition } from '../http/route.ts';
import { MODEL_EXAMPLE } from './examples.ts';
import { encodeModel, modelAnswer } from './schemas.ts';

const latency = z.object({ requests: z.int(), p50Ms: z.number(), p99Ms: z.number() });

const COUNTED: Record<keyof RolloutCounts, string> = {
  candidateRequests: 'Requests that the candidate was chosen for.',
  candidateFailures: 'Those of them that got an error, unless the request itself was wrong, was cancelled or found the queue full.',
  baselineRequests: 'Requests that the baseline was chosen for.',
  baselineFailures: 'The same of the baseline.',
  unavailable:
    'Requests meant for the candidate that the baseline answered, because the candidate was not there. They count as its failures.',
  shadowRequests: 'Requests that were run on the candidate, too.',
  disagreements: 'Those whose answers disagree, or that the candidate failed.',
  shadowDropped: 'Requests that were not run on the candidate because too many were under way.',
};

const rolloutAnswer = z
  .object({
    model: z.string(),
    rollout: rolloutSchema,
    counts: z.object(
      Object.fromEntries(Object.entries(COUNTED).map(([name, meaning]) => [name, z.int().describe(meaning)])) as Record<
        keyof RolloutCounts,
        z.ZodInt
      >,
    ),
    largestDifference: z
      .number()
      .describe('Of two numbers in shadow answers, since the server started; answers of other shapes are not compared number by number.'),
    held: z
      .object({ decision: rolloutDecisionSchema.shape.decision, reason: z.string() })
      .optional()
      .describe('What the test has decided and could not be written to slipway-model.json yet; requests are answered by it already.'),
    latency: z
      .object({ candidate: latency.optional(), baseline: latency.optional(), shadow: latency.optional() })
      .describe('Of answered requests in the data plane, since the server started. Nothing is decided by it.'),
    test: z
      .object({
        verdict: z.enum(['promote', 'roll_back', 'open']),
        reason: z.string(),
        findings: z.array(
          z.object({
            criterion: z
              .enum(CRITERIA)
              .describe(
                '`failures`: by how much the share of failed requests is above that of the baseline; `disagreement`: share of the shadow answers that disagree.',
              ),
            low: z.number(),
            high: z.number().describe('The true share lies from low to high at every moment of the rollout, but for the error rate.'),
            bound: z.number(),
            finding: z.enum(['within', 'beyond', 'open']),
          }),
        ),
      })
      .describe(
        'A sequential test by confidence sequences (a Beta(½, ½) mixture of likelihood ratios): it may be looked at at any time, and errs with at most the probability `errorRate`.',
      ),
  })
  .meta({ id: 'Rollout' });

const EXAMPLE: z.infer<typeof rolloutAnswer> = {
  model: 'digits',
  rollout: {
    candidate: 2,
    baseline: 1,
    weight: 0.1,
    sticky: true,
    shadow: 0.5,
    tolerance: 0.001,
    automatic: true,
    errorRate: 0.05,
    maxFailureIncrease: 0.01,
    maxDisagreement: 0.02,
    startedAt: '2026-11-24T12:00:00.000Z',
  },
  counts: { ...NO_COUNTS, candidateRequests: 118, baselineRequests: 1_024, shadowRequests: 509, disagreements: 2 },
  largestDifference: 0.18,
  latency: { candidate: { requests: 118, p50Ms: 0.31, p99Ms: 1.4 }, baseline: { requests: 1_024, p50Ms: 0.42, p99Ms: 1.9 } },
  test: {
    verdict: 'open',
    reason:
      'the share of failed requests is -1.02 % to 7.38 % above that of the baseline, not yet known to be below or above the bound of 1.00 %; 0.02 % to 1.79 % of the shadow answers disagree, no more than the bound of 2.00 %.',
    findings: [
      { criterion: 'failures', low: -0.0102, high: 0.0738, bound: 0.01, finding: 'open' },
      { criterion: 'disagreement', low: 0.0002, high: 0.0179, bound: 0.02, finding: 'within' },
    ],
  },
};

function encodeLatency(histogram: Histogram): z.infer<typeof latency> | undefined {
  const at = (q: number): number => Number((histogram.quantileMs(q) ?? 0).toPrecision(3));
  return histogram.count === 0 ? undefined : { requests: histogram.count, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function encodeRollout({ model, rollout, counts, largestDifference, latencies, judgement, held }: RolloutDescription): unknown {
  return {
    model,
    rollout,
    counts,
    largestDifference,
    latency: Object.fromEntries(Object.entries(latencies).map(([name, histogram]) => [name, encodeLatency(histogram)])),
    test: judgement,
    held,
  };
}

const BODY_BYTES = 4_096;

type ModelParams = z.infer<typeof modelParams>;

/** Letting a candidate in beside the version that answers: canary, shadow, promote, roll back. */
export function createRolloutRoutes(rollouts: Rollouts): RouteDefinition[] {
  const shared = { path: '/models/{name}/rollout', tag: 'models', params: modelParams } as const;
  const responses = {
    200: { description: 'The rollout: its terms, what was counted, what the test says of it.', schema: rolloutAnswer, example: EXAMPLE },
  };
  return [
    defineRoute<ModelParams>({
      ...shared,
      method: 'GET',
      operationId: 'describeRollout',
      summary: 'Tell how a candidate does beside the version that answers. ROLLOUT_NOT_FOUND when there is none.',
      responses,
      errors: [400, 404, 500, 503],
      handle: async ({ params }) => json(200, encodeRollout(rollouts.describe(params.name))),
    }),
    defineRoute<ModelParams>({
      ...shared,
      method: 'PUT',
      operationId: 'setRollout',
      summary: 'Let a candidate in beside the version that answers, or change the terms of that.',
      description:
        'A share of the requests is answered by the candidate (canary), and a share of the others is run on it, too, without anybody getting the answers (shadow). Requests that name a version, or another label, take no part. Both versions stay loaded whatever the version policy selects, and cannot be deleted. It lies in slipway-model.json, so it outlives a restart. With `automatic` a sequential test promotes or rolls back. MODEL_BUSY while another candidate is let in.',
      body: {
        kind: 'bytes',
        required: true,
        maxBytes: BODY_BYTES,
        content: {
          'application/json': { schema: rolloutRequestSchema, example: { candidate: 2, weight: 0.1, shadow: 0.5, automatic: true } },
        },
      },
      responses,
      errors: [400, 404, 409, 413, 415, 500, 503, 507],
      handle: async ({ params, body }) =>
        json(200, encodeRollout(await rollouts.begin(params.name, checkInput(rolloutRequestSchema, toPlain(parseJson(body)), '')))),
    }),
    ...(['promote', 'roll-back'] as const).map((verb) =>
      defineRoute<ModelParams>({
        ...shared,
        path: `/models/{name}/rollout/${verb}`,
        method: 'POST',
        operationId: verb === 'promote' ? 'promoteCandidate' : 'rollBackCandidate',
        summary:
          verb === 'promote'
            ? 'End a rollout: the candidate answers all of its requests from now on.'
            : 'End a rollout: the baseline answers all of its requests again.',
        description:
          'The label of the rollout points at the version; without a label the version policy is changed where it would have another version answer. The decision and its counts become part of the lineage of both versions.',
        responses: { 200: { description: 'The model.', schema: modelAnswer, example: MODEL_EXAMPLE } },
        errors: [400, 404, 409, 500, 503, 507],
        handle: async ({ params }) =>
          json(200, encodeModel(await rollouts.end(params.name, verb === 'promote' ? 'promoted' : 'rolled_back'))),
      }),
    ),
  ];
}
