import { messageOf } from '../errors/slipway-error.ts';
import type { NamedTensors } from '../tensor/tensor.ts';
import type { BatchShape } from './batch.ts';
import { type Agreement, companionOf, compareTrial, sameInputs } from './trial.ts';
import type { BatchingState, SchedulerSettings } from './types.ts';

/** Runs inputs together in the order given; as `Runner.run`. */
type Run = (parts: readonly NamedTensors[], outputs: readonly string[]) => Promise<{ readonly outputs: NamedTensors }>;

/** Whether a model's requests may be joined, and how that became known. */
export interface Joining {
  readonly allowed: boolean;
  /** True when a trial with the next answered request could decide it. */
  readonly wantsTrial: boolean;
  readonly state: BatchingState;
  readonly reason: string;
  /** Whether the trial gave the same bits; undefined before it, and when requests can't be joined. */
  readonly exact: boolean | undefined;
  /** Tries the model with a request and the answer that it had alone. Never rejects; one trial at a time. */
  tryWith(inputs: NamedTensors, outputs: readonly string[], answer: NamedTensors): Promise<void>;
  /** A batch could not be taken apart: never again. */
  refuse(reason: string): void;
  /** A batch failed whose requests all succeed alone. */
  failedTogether(message: string): void;
}

/** Trials that may fail to run, and batches that may fail though their requests do not, before the model is left alone. */
const MOST_FAILURES = 3;

export function createJoining(shape: BatchShape, settings: () => SchedulerSettings, run: Run): Joining {
  const { allOutputs } = shape;
  let verdict: Agreement | undefined = shape.obstacle === undefined ? undefined : { kind: 'none', reason: shape.obstacle };
  let trying = false;
  let failures = 0;
  /** An earlier request, to stand beside one that is its own mirror image. */
  let earlier: NamedTensors | undefined;

  const isOff = (): boolean => settings().maxBatchSize === 1;

  function isAllowed(): boolean {
    if (isOff() || verdict === undefined) return false;
    return verdict.kind === 'exact' || (verdict.kind === 'rounding' && !settings().exactBatches);
  }

  function reasonOf(): string {
    if (isOff()) return 'Turned off by the settings.';
    if (verdict === undefined) return 'Not tried yet: the first request that is answered while another waits is run again in a batch.';
    if (verdict.kind === 'none') return `Requests run one by one: ${verdict.reason}.`;
    if (verdict.kind === 'exact') return 'In a trial, the answer of a request between two others was to the bit the same as alone.';
    const found = `In a trial, the answer of a request between two others differed by ${verdict.difference.toExponential(1)} of its largest value`;
    return settings().exactBatches ? `${found}, and the settings ask for the same bits.` : `${found}, as rounding explains.`;
  }

  return {
    get allowed() {
      return isAllowed();
    },
    get wantsTrial() {
      return verdict === undefined && !trying && !isOff();
    },
    get state() {
      if (isAllowed()) return 'on';
      return verdict === undefined && !isOff() ? 'proving' : 'off';
    },
    get reason() {
      return reasonOf();
    },
    get exact() {
      return verdict === undefined || verdict.kind === 'none' ? undefined : verdict.kind === 'exact';
    },
    async tryWith(inputs, outputs, answer) {
      const rows = shape.rowsOf(inputs);
      if (verdict !== undefined || trying || rows === 0) return;
      const other =
        earlier !== undefined && shape.keyOf(earlier, outputs) === shape.keyOf(inputs, outputs) && shape.rowsOf(earlier) === rows
          ? earlier
          : undefined;
      earlier = inputs;
      const companion = companionOf(inputs) ?? (other !== undefined && !sameInputs(inputs, other) ? other : undefined);
      if (companion === undefined) return;
      trying = true;
      try {
        const alone = outputs.length === allOutputs.length ? answer : (await run([inputs], allOutputs)).outputs;
        const together = await run([inputs, companion, inputs], allOutputs);
        verdict ??= compareTrial(alone, together.outputs, rows);
        earlier = undefined;
      } catch (error) {
        failures += 1;
        // A runner that ended says nothing of the model; the next one is asked again, but not for ever.
        if (failures >= MOST_FAILURES) verdict = { kind: 'none', reason: `runs of several requests together failed: ${messageOf(error)}` };
      } finally {
        trying = false;
      }
    },
    refuse(reason) {
      verdict = { kind: 'none', reason };
    },
    failedTogether(message) {
      failures += 1;
      if (failures >= MOST_FAILURES) verdict = { kind: 'none', reason: `requests that succeed alone failed together: ${message}` };
    },
  };
}
