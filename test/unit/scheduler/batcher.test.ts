import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { Runner, RunResult } from '../../../src/runners/runner.ts';
import { rowsOf, type Work } from '../../../src/scheduler/batch.ts';
import { createBatcher, type Outcome } from '../../../src/scheduler/batcher.ts';
import { createQueue, type Queue } from '../../../src/scheduler/queue.ts';
import type { Signature } from '../../../src/tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../src/tensor/tensor.ts';
import { fp32 } from '../../helpers/tensors.ts';

const SIGNATURE: Signature = {
  inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, -1] }],
  outputs: [{ name: 'y', dtype: 'FP32', shape: [-1, -1] }],
};

const SETTINGS = { maxBatchSize: 64, batchLatencyMs: 1_000 };

interface FakeRunner {
  readonly runner: Runner;
  /** The first dimension of each run. */
  readonly runs: number[];
}

/** A fake of a runner: `compute` in place of a process. */
function fakeRunner(compute: (x: Tensor) => Tensor): FakeRunner {
  const runs: number[] = [];
  async function run(inputs: NamedTensors): Promise<RunResult> {
    const x = inputs.get('x')!;
    runs.push(x.shape[0]!);
    // A turn of the event loop, so that requests gather meanwhile.
    await new Promise(setImmediate);
    return { outputs: new Map([['y', compute(x)]]), computeNs: 1_000 };
  }
  return { runner: { run } as unknown as Runner, runs };
}

/** Each value times three. */
function timesThree({ shape, data }: Tensor): Tensor {
  return fp32(
    Array.from(data as Float32Array, (value) => value * 3),
    shape,
  );
}

function queueFor(runner: Runner, settings = SETTINGS): { queue: Queue<Work, Outcome>; batcher: ReturnType<typeof createBatcher> } {
  const batcher = createBatcher(runner, SIGNATURE, () => settings);
  return { batcher, queue: createQueue({ ...batcher, maxDepth: () => 10_000 }) };
}

function workOf(x: Tensor): Work {
  const inputs = new Map([['x', x]]);
  return { inputs, outputs: ['y'], rows: rowsOf(inputs) };
}

const PATIENT = { deadline: Infinity, signal: undefined, priority: 10 };

async function answers(queue: Queue<Work, Outcome>, inputs: readonly Tensor[]): Promise<Tensor[]> {
  const all = inputs.map((x) => queue.submit(workOf(x), { ...PATIENT, deadline: performance.now() + 60_000 }));
  return (await Promise.all(all)).map(({ value }) => value.outputs.get('y')!);
}

const arbitraryInput = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 3 }))
  .chain(([rows, columns]) =>
    fc
      .array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: rows * columns, maxLength: rows * columns })
      .map((values) => fp32(values, [rows, columns])),
  );

describe('createBatcher', () => {
  it('gives each request the answer that it gets alone, whatever comes with it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryInput, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        async (inputs, maxBatchSize) => {
          const { runner, runs } = fakeRunner(timesThree);
          const { queue } = queueFor(runner, { ...SETTINGS, maxBatchSize });
          for (const [index, answer] of (await answers(queue, inputs)).entries()) expect(answer).toEqual(timesThree(inputs[index]!));
          const largest = Math.max(maxBatchSize, ...inputs.map(({ shape }) => shape[0]!));
          expect(Math.max(...runs)).toBeLessThanOrEqual(largest);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('compares batches with single requests before it trusts them', async () => {
    const { runner, runs } = fakeRunner(timesThree);
    const { queue, batcher } = queueFor(runner);
    const inputs = Array.from({ length: 4 }, (_input, index) => fp32([index], [1, 1]));
    expect(batcher.describe().state).toBe('proving');
    for (let round = 0; round < 4; round += 1) await answers(queue, inputs);
    expect(batcher.describe()).toMatchObject({ state: 'on', exact: true });
    runs.length = 0;
    await answers(queue, inputs);
    expect(runs).toEqual([4]);
  });

  it('runs a model one by one whose rows depend on each other', async () => {
    const centred = ({ shape, data }: Tensor): Tensor => {
      const values = Array.from(data as Float32Array);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return fp32(
        values.map((value) => value - mean),
        shape,
      );
    };
    const { runner, runs } = fakeRunner(centred);
    const { queue, batcher } = queueFor(runner);
    const inputs = Array.from({ length: 5 }, (_input, index) => fp32([index, 2 * index], [1, 2]));
    for (let round = 0; round < 6; round += 1) {
      for (const [index, answer] of (await answers(queue, inputs)).entries()) expect(answer).toEqual(centred(inputs[index]!));
    }
    expect(batcher.describe()).toMatchObject({ state: 'off', reason: expect.stringContaining('depend on each other') });
    runs.length = 0;
    await answers(queue, inputs);
    expect(runs).toEqual([1, 1, 1, 1, 1]);
  });

  it('runs a model one by one whose output has no row for each row of its inputs', async () => {
    const { runner } = fakeRunner(({ data }) => fp32([(data as Float32Array).length], [1, 1]));
    const { queue, batcher } = queueFor(runner);
    const inputs = Array.from({ length: 5 }, () => fp32([1, 2], [2, 1]));
    for (let round = 0; round < 3; round += 1) for (const answer of await answers(queue, inputs)) expect(answer).toEqual(fp32([2], [1, 1]));
    expect(batcher.describe()).toMatchObject({ state: 'off', reason: expect.stringContaining('"y"') });
  });

  it('lets a request that the model refuses fail alone', async () => {
    const { runner } = fakeRunner((x) => {
      if ((x.data as Float32Array).includes(13)) throw new SlipwayError('INFERENCE_FAILED', 'bad luck');
      return timesThree(x);
    });
    const { queue, batcher } = queueFor(runner);
    const good = Array.from({ length: 4 }, (_input, index) => fp32([index], [1, 1]));
    for (let round = 0; round < 4; round += 1) await answers(queue, good);
    expect(batcher.describe().state).toBe('on');
    const all = [...good, fp32([13], [1, 1]), ...good].map((x) =>
      queue.submit(workOf(x), { ...PATIENT, deadline: performance.now() + 60_000 }),
    );
    const settled = await Promise.allSettled(all);
    expect(settled.map(({ status }) => status)).toEqual(all.map((_promise, index) => (index === 4 ? 'rejected' : 'fulfilled')));
    expect(settled[4]).toMatchObject({ reason: { code: 'INFERENCE_FAILED' } });
  });

  it('counts each run of the engine once', async () => {
    const { runner, runs } = fakeRunner(timesThree);
    const { queue } = queueFor(runner);
    const inputs = Array.from({ length: 4 }, (_input, index) => fp32([index], [1, 1]));
    for (let round = 0; round < 4; round += 1) await answers(queue, inputs);
    runs.length = 0;
    const outcomes = await Promise.all(inputs.map((x) => queue.submit(workOf(x), { ...PATIENT, deadline: performance.now() + 60_000 })));
    expect(outcomes.filter(({ value }) => value.leads)).toHaveLength(runs.length);
    expect(outcomes.map(({ value }) => value.batchRows)).toEqual([4, 4, 4, 4]);
  });

  it('says why a signature rules batches out', () => {
    const { runner } = fakeRunner(timesThree);
    const fixed: Signature = { ...SIGNATURE, inputs: [{ name: 'x', dtype: 'FP32', shape: [1, 2] }] };
    expect(createBatcher(runner, fixed, () => SETTINGS).describe()).toMatchObject({ state: 'off', reason: expect.stringContaining('"x"') });
    expect(createBatcher(runner, SIGNATURE, () => ({ ...SETTINGS, maxBatchSize: 1 })).describe().state).toBe('off');
  });
});
