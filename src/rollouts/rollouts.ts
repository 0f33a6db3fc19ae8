import { messageOf } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import type { Rollout, RolloutDecision, RolloutRequest } from '../packages/rollout.ts';
import type { ModelDescription, ModelReference, Registry } from '../registry/types.ts';
import { rolloutNotFound } from '../registry/settings-changes.ts';
import { createHistogram, type Histogram } from '../inference/histogram.ts';
import type { Comparison } from './compare-outputs.ts';
import { problemWith } from './candidate.ts';
import { createCountsFile } from './counts-file.ts';
import { judge, type Judgement, type RolloutCounts } from './judgement.ts';

export type Arm = 'candidate' | 'baseline';

export type HeldDecision = Pick<RolloutDecision, 'decision' | 'reason'>;

/** A rollout that is under way, as requests see it. */
export interface ActiveRollout {
  readonly model: string;
  /** Its terms may change while it goes on. */
  readonly rollout: Rollout;
  /** What the test has decided and could not be written yet: it holds for requests already. */
  readonly held: HeldDecision | undefined;
  answered(arm: Arm, totalMs: number): void;
  failed(arm: Arm): void;
  /** The candidate was to answer and could not be reached; the baseline did. */
  unavailable(): void;
  compared(comparison: Comparison, totalMs: number): void;
  shadowFailed(): void;
  shadowDropped(): void;
}

export interface RolloutDescription {
  readonly model: string;
  readonly rollout: Rollout;
  readonly counts: RolloutCounts;
  /** Largest difference of two numbers in shadow answers that could be compared, since the server started. */
  readonly largestDifference: number;
  /** Times of answered requests since the server started. */
  readonly latencies: Readonly<Record<Arm | 'shadow', Histogram>>;
  readonly judgement: Judgement;
  readonly held: HeldDecision | undefined;
}

/** Candidates that are let in beside the versions that answer. */
export interface Rollouts {
  /** The rollout that a reference takes part in; undefined for most. */
  of(reference: ModelReference): ActiveRollout | undefined;
  /** @throws SlipwayError MODEL_NOT_FOUND, ROLLOUT_NOT_FOUND */
  describe(model: string): RolloutDescription;
  list(): readonly RolloutDescription[];
  /** @throws SlipwayError as `Registry.setRollout`; MODEL_FAILED, INPUT_MISMATCH for a candidate that can't take the requests */
  begin(model: string, request: RolloutRequest): Promise<RolloutDescription>;
  /** @throws SlipwayError as `Registry.endRollout` */
  end(model: string, decision: RolloutDecision['decision']): Promise<ModelDescription>;
  /** Keeps the counts. */
  stop(): Promise<void>;
}

export interface RolloutsOptions {
  readonly registry: Pick<Registry, 'rolloutOf' | 'setRollout' | 'endRollout' | 'describe' | 'list'>;
  /** Where the counts are kept. */
  readonly folder: string;
  /** How often, in milliseconds. */
  readonly saveMs: number;
  readonly logger: Logger;
}

/** The test is looked at after so many requests; in between it would hardly say anything else. */
const REQUESTS_BETWEEN_LOOKS = 16;

interface Entry extends ActiveRollout {
  readonly counts: RolloutCounts;
  setTerms(rollout: Rollout): void;
  hold(decision: HeldDecision | undefined): void;
  describe(): RolloutDescription;
  /** Whether there are counts that are not kept yet. */
  takeUnsaved(): boolean;
}

type Counters = { -readonly [Name in keyof RolloutCounts]: number };

function createEntry(model: string, first: Rollout, known: RolloutCounts, onLook: (entry: Entry) => void): Entry {
  let rollout = first;
  const counts: Counters = { ...known };
  const latencies = { candidate: createHistogram(), baseline: createHistogram(), shadow: createHistogram() };
  let largestDifference = 0;
  let held: HeldDecision | undefined;
  let unlooked = 0;
  let isUnsaved = false;

  function counted(): void {
    isUnsaved = true;
    unlooked += 1;
    if (!rollout.automatic || unlooked < REQUESTS_BETWEEN_LOOKS) return;
    unlooked = 0;
    onLook(entry);
  }

  const entry: Entry = {
    model,
    get rollout() {
      return rollout;
    },
    get held() {
      return held;
    },
    hold(decision) {
      held = decision;
    },
    counts,
    answered(arm, totalMs) {
      counts[`${arm}Requests`] += 1;
      latencies[arm].observe(totalMs);
      counted();
    },
    failed(arm) {
      counts[`${arm}Requests`] += 1;
      counts[`${arm}Failures`] += 1;
      counted();
    },
    unavailable() {
      counts.unavailable += 1;
      counted();
    },
    compared({ agrees, difference }, totalMs) {
      counts.shadowRequests += 1;
      if (!agrees) counts.disagreements += 1;
      if (difference !== Infinity) largestDifference = Math.max(largestDifference, difference);
      latencies.shadow.observe(totalMs);
      counted();
    },
    shadowFailed() {
      counts.shadowRequests += 1;
      counts.disagreements += 1;
      counted();
    },
    shadowDropped() {
      counts.shadowDropped += 1;
      isUnsaved = true;
    },
    setTerms(next) {
      rollout = next;
      held = undefined;
      unlooked = REQUESTS_BETWEEN_LOOKS;
    },
    describe: () => ({ model, rollout, counts: { ...counts }, largestDifference, latencies, judgement: judge(rollout, counts), held }),
    takeUnsaved() {
      const was = isUnsaved;
      isUnsaved = false;
      return was;
    },
  };
  return entry;
}

export function createRollouts({ registry, folder, saveMs, logger }: RolloutsOptions): Rollouts {
  const file = createCountsFile(folder);
  const entries = new Map<string, Entry>();
  /** Models whose rollout is being ended by the test. */
  const ending = new Set<string>();
  /**
   * Rollouts whose end is being written. Until the registry has followed, it answers by what its policy says without a rollout,
   * which may be the version that was turned down: so long the decision holds for requests.
   */
  const settling = new Map<string, Entry>();
  let saving: Promise<void> = Promise.resolve();

  async function save(): Promise<void> {
    for (const { model, rollout, counts, takeUnsaved } of entries.values()) {
      if (!takeUnsaved() || registry.rolloutOf(model) === undefined) continue;
      await file
        .write(model, rollout, counts)
        .catch((error: unknown) => logger.warn({ model, reason: messageOf(error) }, 'the counts of a rollout were not kept'));
    }
  }
  const timer = setInterval(() => {
    saving = saving.then(save);
  }, saveMs).unref();

  async function end(
    model: string,
    decision: RolloutDecision['decision'],
    by: RolloutDecision['by'],
    reason: string,
  ): Promise<ModelDescription> {
    const entry = entryOf(model);
    const before = entry?.held;
    if (entry !== undefined) {
      entry.hold({ decision, reason });
      settling.set(model, entry);
    }
    const described = await registry
      .endRollout(model, { decision, by, reason, counts: { ...entry?.counts } })
      .catch((error: unknown) => {
        // What the test has decided holds on, and is tried again with later requests.
        if (by !== 'test') entry?.hold(before);
        throw error;
      })
      .finally(() => settling.delete(model));
    entries.delete(model);
    await file.remove(model);
    logger.info(
      { model, decision, by, reason },
      `the candidate of model ${model} was ${decision === 'promoted' ? 'promoted' : 'rolled back'}`,
    );
    return described;
  }

  function look(entry: Entry): void {
    const { model, rollout, counts, held } = entry;
    // Late answers of a rollout that has ended say nothing of the one that came after it.
    if (entryOf(model) !== entry) return;
    if (ending.has(model) || settling.has(model)) return;
    const { verdict, reason } = judge(rollout, counts);
    if (held === undefined && verdict === 'open') return;
    const decided = held ?? { decision: verdict === 'promote' ? 'promoted' : 'rolled_back', reason };
    ending.add(model);
    end(model, decided.decision, 'test', decided.reason)
      .catch((error: unknown) => {
        if (held === undefined)
          logger.error({ model, reason: messageOf(error) }, 'the decision on a rollout holds, but could not be written');
      })
      .finally(() => ending.delete(model));
  }

  /** The rollout as it is now: slipway-model.json may have changed since it was last asked for. */
  function entryOf(model: string): Entry | undefined {
    const rollout = registry.rolloutOf(model);
    let entry = entries.get(model);
    if (rollout === undefined) {
      if (entry !== undefined) entries.delete(model);
      return undefined;
    }
    if (entry?.rollout === rollout) return entry;
    const { candidate, startedAt } = rollout;
    if (entry?.rollout.candidate === candidate && entry.rollout.startedAt === startedAt) entry.setTerms(rollout);
    else entries.set(model, (entry = createEntry(model, rollout, file.read(model, rollout), look)));
    return entry;
  }

  function describe(model: string): RolloutDescription {
    registry.describe(model);
    const entry = entryOf(model);
    if (entry === undefined) throw rolloutNotFound(model);
    return entry.describe();
  }

  return {
    of({ model, version, label }) {
      const rollout = registry.rolloutOf(model);
      if (rollout === undefined && settling.size === 0) return undefined;
      const entry = settling.get(model) ?? entryOf(model);
      return version !== undefined || label !== entry?.rollout.label ? undefined : entry;
    },
    describe,
    list: () => registry.list().flatMap(({ name }) => entryOf(name)?.describe() ?? []),
    async begin(model, request) {
      const before = registry.rolloutOf(model);
      const { rollout, versions } = await registry.setRollout(model, request);
      const problem = rollout === undefined || before?.candidate === rollout.candidate ? undefined : problemWith(rollout, versions);
      if (problem === undefined) return describe(model);
      await end(model, 'rolled_back', 'server', problem.message);
      throw problem;
    },
    end: (model, decision) => end(model, decision, 'request', 'It was asked for.'),
    async stop() {
      clearInterval(timer);
      await saving;
      await save();
    },
  };
}
