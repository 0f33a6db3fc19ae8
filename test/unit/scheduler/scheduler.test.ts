import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { Runner, RunnerStatus, RunResult } from '../../../src/runners/runner.ts';
import { createScheduler } from '../../../src/scheduler/scheduler.ts';
import type { Completion, Scheduler, SchedulerSettings, Work } from '../../../src/scheduler/types.ts';
import type { Signature } from '../../../src/tensor/signature.ts';
import type { NamedTensors } from '../../../src/tensor/tensor.ts';
import { fp32 } from '../../helpers/tensors.ts';

const SETTINGS: SchedulerSettings = { maxQueueDepth: 100, maxQueueMs: 1_000, maxBatchSize: 1_000, batchLatencyMs: 50, exactBatches: false };
const SIGNATURE: Signature = {
  inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', dtype: 'FP32', shape: [-1, 2] }],
};

interface FakeRun {
  readonly parts: readonly NamedTensors[];
  /** The numbers that went in. */
  readonly numbers: number[];
  /** Answers with the inputs doubled, after so many milliseconds on the test's clock. */
  finish(computeMs?: number, outputs?: NamedTensors): Promise<void>;
  fail(error: SlipwayError): Promise<void>;
}

interface SetUp {
  readonly scheduler: Scheduler;
  /** What was sent to the runner and is not answered yet. */
  readonly runs: FakeRun[];
  readonly clock: { ms: number };
  readonly settings: { value: SchedulerSettings };
  setStatus(status: RunnerStatus): void;
  /** Ends this turn of the event loop. */
  endTurn(): Promise<void>;
  submit(x: readonly number[], work?: Partial<Work>): Promise<Completion>;
  /** Lets one request be answered alone and tried, so that from now on requests are joined. */
  learn(): Promise<void>;
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
};

/** A scheduler on a clock and a runner of the test's own; the runner doubles numbers when the test lets it. */
function setUp(signature = SIGNATURE, change: Partial<SchedulerSettings> = {}): SetUp {
  const clock = { ms: 1_000 };
  const settings = { value: { ...SETTINGS, ...change } };
  const runs: FakeRun[] = [];
  const turnEnds: (() => void)[] = [];
  const listeners: ((status: RunnerStatus) => void)[] = [];
  let status: RunnerStatus = { state: 'starting' };

  const fakeRunner: Pick<Runner, 'run' | 'concurrency' | 'status' | 'onStatus'> = {
    concurrency: 1,
    get status() {
      return status;
    },
    onStatus: (listener) => void listeners.push(listener),
    run(parts) {
      const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
      const numbers = parts.flatMap((part) => [...(part.get('x')!.data as Float32Array)]);
      const end = async (act: () => void): Promise<void> => {
        runs.splice(runs.indexOf(run), 1);
        act();
        await settled();
      };
      const run: FakeRun = {
        parts,
        numbers,
        finish: (
          computeMs = 1,
          outputs = new Map([
            [
              'y',
              fp32(
                numbers.map((each) => 2 * each),
                [numbers.length / 2, 2],
              ),
            ],
          ]),
        ) =>
          end(() => {
            clock.ms += computeMs;
            resolve({ outputs, computeNs: computeMs * 1e6 });
          }),
        fail: (error) => end(() => reject(error)),
      };
      runs.push(run);
      return promise;
    },
  };
  const scheduler = createScheduler({
    runner: fakeRunner,
    signature,
    settings: () => settings.value,
    now: () => clock.ms,
    atEndOfTurn: (callback) => void turnEnds.push(callback),
  });
  const endTurn = async (): Promise<void> => {
    for (const callback of turnEnds.splice(0)) callback();
    await settled();
  };
  const submit: SetUp['submit'] = (x, work = {}) => {
    const answer = scheduler.submit({
      inputs: new Map([['x', fp32(x, [x.length / 2, 2])]]),
      outputs: signature.outputs.map(({ name }) => name),
      deadline: clock.ms + 60_000,
      priority: 5,
      client: '',
      signal: undefined,
      ...work,
    });
    answer.catch(() => {});
    return answer;
  };
  return {
    scheduler,
    runs,
    clock,
    settings,
    endTurn,
    submit,
    setStatus(next) {
      status = next;
      for (const listener of listeners) listener(next);
    },
    async learn() {
      // Sizes 1 and 3 (the trial) make the line; a second request must wait for a trial to be worth it.
      const answers = [submit([1, 2]), submit([3, 4])];
      await endTurn();
      await runs[0]!.finish(2);
      // The trial's run has three parts, the request's own first and last.
      const trial = runs.find(({ parts }) => parts.length === 3)!;
      await trial.finish(0);
      await endTurn();
      while (runs.length > 0) await runs[0]!.finish(2);
      for (const size of [8, 16]) {
        answers.push(
          submit(
            Array(2 * size)
              .fill(0)
              .map((_each, index) => index),
          ),
        );
        await endTurn();
        await runs[0]!.finish(1 + size);
      }
      await Promise.all(answers);
    },
  };
}

const valuesOf = ({ outputs }: Completion): number[] => [...(outputs.get('y')!.data as Float32Array)];

describe('createScheduler', () => {
  it('sends a request to an idle runner at the end of the turn in which it came', async () => {
    const { submit, runs, endTurn } = setUp();
    const answer = submit([1, 2]);
    expect(runs).toHaveLength(0);
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[1, 2]]);
    await runs[0]!.finish(3);
    expect(await answer).toMatchObject({ computeMs: 3, queueMs: 0, batchRows: 1, leads: true });
    expect(valuesOf(await answer)).toEqual([2, 4]);
  });

  it('joins nothing before a trial has shown that rows do not depend on each other', async () => {
    const { submit, runs, endTurn, scheduler } = setUp();
    const answers = [submit([1, 2]), submit([3, 4]), submit([5, 6])];
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[1, 2]]);
    await runs[0]!.finish();
    const trial = runs.find(({ parts }) => parts.length === 3)!;
    expect(trial.numbers).toEqual([1, 2, 2, 1, 1, 2]);
    expect(scheduler.describe().batching.state).toBe('proving');
    await trial.finish();
    expect(scheduler.describe().batching).toMatchObject({ state: 'on', reason: expect.stringContaining('to the bit') });
    await endTurn();
    while (runs.length > 0) await runs[0]!.finish();
    expect((await Promise.all(answers)).map(valuesOf)).toEqual([
      [2, 4],
      [6, 8],
      [10, 12],
    ]);
  });

  it('never joins requests of a model whose rows depend on each other', async () => {
    const { submit, runs, endTurn, scheduler } = setUp();
    void submit([1, 2]);
    void submit([3, 4]);
    await endTurn();
    await runs[0]!.finish();
    await runs.find(({ parts }) => parts.length === 3)!.finish(1, new Map([['y', fp32([2, 4, 0, 0, 2, 5], [3, 2])]]));
    expect(scheduler.describe().batching).toMatchObject({ state: 'off', reason: expect.stringContaining('depend on each other') });
    await endTurn();
    expect(runs.every(({ parts }) => parts.length === 1)).toBe(true);
  });

  it('joins what waits and gives each its own rows', async () => {
    const { submit, runs, endTurn, learn } = setUp();
    await learn();
    const answers = [submit([1, 2]), submit([3, 4, 5, 6]), submit([7, 8])];
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[1, 2, 3, 4, 5, 6, 7, 8]]);
    await runs[0]!.finish();
    const done = await Promise.all(answers);
    expect(done.map(valuesOf)).toEqual([
      [2, 4],
      [6, 8, 10, 12],
      [14, 16],
    ]);
    expect(done.map(({ batchRows, leads }) => [batchRows, leads])).toEqual([
      [4, true],
      [4, false],
      [4, false],
    ]);
    const [{ batch } = {}, ...others] = done.filter(({ batchRows }) => batchRows > 1);
    expect(batch).toBeDefined();
    for (const other of others) expect(other.batch).toBe(batch);
  });

  it('makes batches no larger than their budget, and lets a larger request run alone', async () => {
    const { submit, runs, endTurn, learn, scheduler, settings } = setUp();
    await learn();
    settings.value = { ...settings.value, batchLatencyMs: 6 };
    // A run of n rows takes about n + 1 ms, and four times a single one is 8.
    const target = scheduler.describe().targetSize!;
    expect(target).toBeGreaterThan(2);
    expect(target).toBeLessThanOrEqual(7);
    for (let index = 0; index < 20; index += 1) void submit([index, 0]);
    void submit(Array(40).fill(1));
    await endTurn();
    expect(runs[0]!.parts).toHaveLength(target);
    settings.value = { ...settings.value, maxBatchSize: 1 };
    while (runs[0]!.parts.length > 1) {
      await runs[0]!.finish();
      await endTurn();
    }
    settings.value = { ...settings.value, maxBatchSize: 1_000 };
    while (runs.length > 0) {
      const largest = runs.find(({ numbers }) => numbers.length === 40);
      if (largest !== undefined) expect(largest.parts).toHaveLength(1);
      await runs[0]!.finish();
      await endTurn();
    }
  });

  it('lets a failure hit only the request whose fault it is', async () => {
    const { submit, runs, endTurn, learn } = setUp();
    await learn();
    const answers = [submit([1, 2]), submit([3, 4]), submit([5, 6])];
    await endTurn();
    await runs[0]!.fail(new SlipwayError('INFERENCE_FAILED', 'index out of range'));
    await runs[0]!.finish();
    await runs[0]!.fail(new SlipwayError('INFERENCE_FAILED', 'index 3 out of range'));
    await runs[0]!.finish();
    expect(valuesOf(await answers[0]!)).toEqual([2, 4]);
    await expect(answers[1]).rejects.toMatchObject({ code: 'INFERENCE_FAILED', message: 'index 3 out of range' });
    expect(valuesOf(await answers[2]!)).toEqual([10, 12]);
  });

  it('sends nothing beside a trial or the repetition of a failed batch that keeps the runner busy', async () => {
    const { submit, runs, endTurn, scheduler } = setUp();
    const first = [submit([1, 2]), submit([3, 4]), submit([5, 6])];
    await endTurn();
    await runs[0]!.finish(100);
    await endTurn();
    expect(runs.map(({ parts }) => parts.length)).toEqual([3]);
    expect(scheduler.describe().queue).toMatchObject({ depth: 2, inFlight: 1 });
    await runs[0]!.finish(100);
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[3, 4, 5, 6]]);
    await runs[0]!.fail(new SlipwayError('INFERENCE_FAILED', 'index out of range'));
    const later = submit([7, 8]);
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[3, 4]]);
    await runs[0]!.finish(100);
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[5, 6]]);
    await runs[0]!.finish(100);
    await endTurn();
    expect(runs.map(({ numbers }) => numbers)).toEqual([[7, 8]]);
    await runs[0]!.finish();
    expect((await Promise.all([...first, later])).map(valuesOf)).toEqual([
      [2, 4],
      [6, 8],
      [10, 12],
      [14, 16],
    ]);
    expect(scheduler.describe().queue).toMatchObject({ depth: 0, inFlight: 0 });
  });

  it('takes no batch apart whose output has lost its rows, and joins no more then', async () => {
    const { submit, runs, endTurn, learn, scheduler } = setUp();
    await learn();
    const answers = [submit([1, 2]), submit([3, 4])];
    await endTurn();
    await runs[0]!.finish(1, new Map([['y', fp32([0, 0], [1, 2])]]));
    expect(scheduler.describe().batching).toMatchObject({ state: 'off', reason: expect.stringContaining('output "y" the shape [1, 2]') });
    await runs[0]!.finish();
    await runs[0]!.finish();
    expect((await Promise.all(answers)).map(valuesOf)).toEqual([
      [2, 4],
      [6, 8],
    ]);
  });

  it('runs a request alone whose inputs have no rows in common', async () => {
    const two: Signature = {
      inputs: [
        { name: 'x', dtype: 'FP32', shape: [-1, 2] },
        { name: 'k', dtype: 'FP32', shape: [-1] },
      ],
      outputs: [{ name: 'y', dtype: 'FP32', shape: [-1, 2] }],
    };
    const { submit, runs, endTurn } = setUp(two);
    const inputs = new Map([
      ['x', fp32([1, 2, 3, 4], [2, 2])],
      ['k', fp32([9])],
    ]);
    void submit([1, 2], { inputs });
    await endTurn();
    expect(runs[0]!.parts).toEqual([inputs]);
  });

  it('gives priorities their order, and clients their turns', async () => {
    const { submit, runs, endTurn, learn, settings } = setUp();
    await learn();
    settings.value = { ...settings.value, maxBatchSize: 2 };
    void submit([0, 0]);
    await endTurn();
    for (const n of [1, 2, 3]) void submit([n, n], { client: 'greedy' });
    void submit([4, 4], { client: 'modest' });
    void submit([5, 5], { priority: 1 });
    void submit([6, 6], { priority: 9 });
    const order: number[] = [];
    while (runs.length > 0) {
      order.push(...runs[0]!.numbers.filter((_each, index) => index % 2 === 0));
      await runs[0]!.finish();
      await endTurn();
    }
    expect(order).toEqual([0, 5, 1, 4, 2, 3, 6]);
  });

  it('sends nothing to the runner that has expired or was aborted while it waited', async () => {
    const { submit, runs, endTurn, clock, scheduler } = setUp();
    void submit([1, 2]);
    await endTurn();
    const controller = new AbortController();
    const aborted = submit([3, 4], { signal: controller.signal });
    const expired = submit([5, 6], { deadline: clock.ms + 5 });
    const patient = submit([7, 8]);
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    await runs[0]!.finish(10);
    await endTurn();
    await expect(expired).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    while (runs.length > 0) {
      expect(runs[0]!.numbers).not.toContain(3);
      expect(runs[0]!.numbers).not.toContain(5);
      await runs[0]!.finish();
      await endTurn();
    }
    expect(valuesOf(await patient)).toEqual([14, 16]);
    expect(scheduler.describe().dropped).toMatchObject({ expired: 1, cancelled: 1 });
    await expect(submit([1, 2], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
  });

  it('answers a request that expires while it runs, without waiting for the runner', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { submit, runs, endTurn, clock, scheduler } = setUp();
    const answer = submit([1, 2], { deadline: clock.ms + 100 });
    await endTurn();
    expect(runs).toHaveLength(1);
    clock.ms += 100;
    vi.advanceTimersByTime(100);
    await expect(answer).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await runs[0]!.finish();
    expect(scheduler.describe()).toMatchObject({ latency: undefined, dropped: { expired: 1 } });
  });

  it('refuses at once what cannot be answered in time, and what would wait too long', async () => {
    const { submit, runs, endTurn, learn, clock, settings } = setUp();
    await learn();
    settings.value = { ...settings.value, maxBatchSize: 1, maxQueueMs: 30 };
    for (let index = 0; index < 10; index += 1) void submit([index, 0]);
    await endTurn();
    await expect(submit([1, 1], { deadline: clock.ms + 3 })).rejects.toMatchObject({
      code: 'DEADLINE_UNREACHABLE',
      kind: 'overloaded',
      retryAfterMs: expect.any(Number),
    });
    const answers: Promise<unknown>[] = [];
    for (let index = 0; index < 100; index += 1) answers.push(submit([index, 0]));
    await expect(answers.at(-1)).rejects.toMatchObject({ code: 'QUEUE_FULL', message: expect.stringContaining('the wait would be') });
    while (runs.length > 0) {
      await runs[0]!.finish();
      await endTurn();
    }
    // Idle for a while, it lets a request in whatever it predicts.
    clock.ms += 2_000;
    const late = submit([1, 1], { deadline: clock.ms + 0.5 });
    await endTurn();
    await runs[0]!.finish(0.1);
    expect(valuesOf(await late)).toEqual([2, 2]);
  });

  it('refuses a request beyond its depth, or another client’s last one when that has taken the room', async () => {
    const { submit, runs, endTurn } = setUp(SIGNATURE, { maxQueueDepth: 3, maxBatchSize: 1 });
    void submit([0, 0]);
    await endTurn();
    const greedy = [1, 2, 3].map((n) => submit([n, n], { client: 'greedy' }));
    await expect(submit([4, 4], { client: 'greedy' })).rejects.toMatchObject({ code: 'QUEUE_FULL', retryAfterMs: expect.any(Number) });
    const modest = submit([5, 5], { client: 'modest' });
    await expect(greedy[2]).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    const order: number[] = [];
    while (runs.length > 0) {
      order.push(runs[0]!.numbers[0]!);
      await runs[0]!.finish();
      await endTurn();
    }
    expect(order).toEqual([0, 1, 5, 2]);
    expect(valuesOf(await modest)).toEqual([10, 10]);
  });

  it('keeps what waits while the runner is started again', async () => {
    const { submit, runs, endTurn, setStatus } = setUp(SIGNATURE, { maxBatchSize: 1 });
    const doomed = submit([1, 2]);
    await endTurn();
    const patient = submit([3, 4]);
    setStatus({ state: 'restarting', reason: 'it crashed', retryAfterMs: 10, info: undefined });
    await runs[0]!.fail(new SlipwayError('RUNNER_CRASHED', 'it crashed'));
    await expect(doomed).rejects.toMatchObject({ code: 'RUNNER_CRASHED' });
    await endTurn();
    expect(runs).toHaveLength(0);
    setStatus({ state: 'starting' });
    await endTurn();
    expect(runs).toHaveLength(1);
    await runs[0]!.finish();
    expect(valuesOf(await patient)).toEqual([6, 8]);
  });

  it('sends requests that are not joined several at a time once it knows that they are short', async () => {
    const { submit, runs, endTurn } = setUp(SIGNATURE, { maxBatchSize: 1 });
    void submit([0, 0]);
    await endTurn();
    for (let index = 0; index < 30; index += 1) void submit([index, 0]);
    await runs[0]!.finish(0.01);
    await endTurn();
    expect(runs).toHaveLength(16);
  });

  it('explains itself', async () => {
    const { submit, runs, endTurn, learn, scheduler } = setUp();
    expect(scheduler.describe()).toMatchObject({
      batching: { state: 'proving' },
      fit: { unit: 'rows', perUnitMs: undefined, fixedMs: undefined, runs: 0 },
      queue: { depth: 0, waitMs: 0, inFlight: 0 },
      latency: undefined,
      predictedP99Ms: undefined,
      decisions: [],
    });
    await learn();
    const { fit, latency, decisions, predictedP99Ms } = scheduler.describe();
    expect(fit.perUnitMs).toBeCloseTo(1, 1);
    expect(fit.fixedMs).toBeCloseTo(1, 0);
    expect(latency!.p99Ms).toBeGreaterThanOrEqual(latency!.p50Ms);
    expect(predictedP99Ms).toBeGreaterThan(0);
    expect(decisions[0]).toMatchObject({ requests: 1, rows: 16, left: 0, reason: 'nothing else waited', computeMs: 17 });
    void submit([1, 2]);
    await endTurn();
    expect(scheduler.describe().queue.inFlight).toBe(1);
    expect(scheduler.describe().decisions.slice(0, 2)).toMatchObject([{ rows: 1, computeMs: undefined }, { rows: 16 }]);
    await runs[0]!.finish();
  });
});
