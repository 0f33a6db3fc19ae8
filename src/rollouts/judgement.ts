import type { Rollout } from '../packages/rollout.ts';
import { confidenceInterval, differenceInterval, type Finding, findingOf, type Interval, type Tally } from './sequential-test.ts';

/** What was counted since a rollout began; plain data. */
export interface RolloutCounts {
  /** Requests that the version was chosen for, and those of them that got an error by its fault. */
  readonly candidateRequests: number;
  readonly candidateFailures: number;
  readonly baselineRequests: number;
  readonly baselineFailures: number;
  /** Requests meant for the candidate that the baseline answered because the candidate was not there; failures, too. */
  readonly unavailable: number;
  /** Shadow requests whose answers were compared, or that the candidate failed. */
  readonly shadowRequests: number;
  /** Those whose answers disagree, or that failed. */
  readonly disagreements: number;
  /** Shadow requests that were not made because too many were under way. */
  readonly shadowDropped: number;
}

export const NO_COUNTS: RolloutCounts = {
  candidateRequests: 0,
  candidateFailures: 0,
  baselineRequests: 0,
  baselineFailures: 0,
  unavailable: 0,
  shadowRequests: 0,
  disagreements: 0,
  shadowDropped: 0,
};

export const CRITERIA = ['failures', 'disagreement'] as const;

export interface CriterionFinding extends Interval {
  readonly criterion: (typeof CRITERIA)[number];
  readonly bound: number;
  readonly finding: Finding;
}

export interface Judgement {
  readonly verdict: 'promote' | 'roll_back' | 'open';
  /** In a sentence. */
  readonly reason: string;
  readonly findings: readonly CriterionFinding[];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

const SAID = {
  failures: ({ low, high }: Interval) => `the share of failed requests is ${percent(low)} to ${percent(high)} above that of the baseline`,
  disagreement: ({ low, high }: Interval) => `${percent(low)} to ${percent(high)} of the shadow answers disagree`,
} as const;

function sentence({ criterion, bound, finding, ...interval }: CriterionFinding): string {
  const judged = { within: 'no more than', beyond: 'more than', open: 'not yet known to be below or above' }[finding];
  return `${SAID[criterion](interval)}, ${judged} the bound of ${percent(bound)}`;
}

/**
 * What the counts say of a candidate. It is promoted when it is known to be within every bound, and rolled back when it is
 * known to be beyond one; the probability of doing so wrongly is at most `errorRate` each, over the whole rollout.
 */
export function judge({ weight, shadow, errorRate, maxFailureIncrease, maxDisagreement }: Rollout, counts: RolloutCounts): Judgement {
  const candidate: Tally = {
    count: counts.candidateFailures + counts.unavailable,
    total: counts.candidateRequests + counts.unavailable,
  };
  const baseline: Tally = { count: counts.baselineFailures, total: counts.baselineRequests };
  const disagreement: Tally = { count: counts.disagreements, total: counts.shadowRequests };
  const isCanary = weight > 0 || candidate.total > 0;
  const isShadow = shadow > 0 || disagreement.total > 0;
  // Rolling back is wrong as soon as one of the criteria errs, so they share the probability.
  const share = errorRate / (Number(isCanary) + Number(isShadow));
  const findings: CriterionFinding[] = [];
  if (isCanary) {
    const interval = differenceInterval(candidate, baseline, share);
    const bound = maxFailureIncrease;
    findings.push({ criterion: 'failures', ...interval, bound, finding: findingOf(interval, bound) });
  }
  if (isShadow) {
    const interval = confidenceInterval(disagreement, share);
    const bound = maxDisagreement;
    findings.push({ criterion: 'disagreement', ...interval, bound, finding: findingOf(interval, bound) });
  }
  const beyond = findings.find(({ finding }) => finding === 'beyond');
  if (beyond !== undefined) return { verdict: 'roll_back', reason: `${sentence(beyond)}.`, findings };
  if (findings.length === 0) return { verdict: 'open', reason: 'the candidate gets no requests.', findings };
  const isWithin = findings.every(({ finding }) => finding === 'within');
  return { verdict: isWithin ? 'promote' : 'open', reason: `${findings.map(sentence).join('; ')}.`, findings };
}
