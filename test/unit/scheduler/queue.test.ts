import { describe, expect, it } from 'vitest';
import { createQueue } from '../../../src/scheduler/queue.ts';

const soon = (): number => performance.now() + 10_000;

interface Latch {
  readonly opened: Promise<void>;
  open(): void;
}

function latch(): Latch {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

describe('createQueue', () => {
  it('sends on what gathered while the runner worked, in the order of arrival', async () => {
    // On this clock a task takes no time, so as many go together as are allowed to.
    const queue = createQueue({ maxDepth: 10, maxAhead: 2, now: () => 0 });
    const gates = [latch(), latch(), latch(), latch()];
    const started: number[] = [];
    const done = gates.map((gate, index) =>
      queue.submit(
        async () => {
          started.push(index);
          await gate.opened;
          return index;
        },
        { deadline: soon(), signal: undefined },
      ),
    );
    expect(started).toEqual([0]);
    expect(queue.depth).toBe(3);
    gates[0]!.open();
    await done[0];
    expect(started).toEqual([0, 1, 2]);
    gates[2]!.open();
    await done[2];
    expect(started).toEqual([0, 1, 2]);
    gates[1]!.open();
    await done[1];
    expect(started).toEqual([0, 1, 2, 3]);
    gates[3]!.open();
    expect((await Promise.all(done)).map(({ value }) => value)).toEqual([0, 1, 2, 3]);
    expect(queue.depth).toBe(0);
  });

  it('sends slow tasks one by one, so that those that wait can still be taken back', async () => {
    let time = 0;
    const queue = createQueue({ maxDepth: 10, maxAhead: 16, now: () => time });
    const started: number[] = [];
    const submit = (index: number): Promise<unknown> =>
      queue.submit(
        async () => {
          started.push(index);
          await Promise.resolve();
          time += 100;
        },
        { deadline: 60_000, signal: undefined },
      );
    const [first, second, third] = [submit(0), submit(1), submit(2)];
    await first;
    expect(started).toEqual([0, 1]);
    await second;
    expect(started).toEqual([0, 1, 2]);
    await third;
  });

  it('refuses a request beyond its depth with the time after which to try again', async () => {
    const queue = createQueue({ maxDepth: 1, maxAhead: 16 });
    const gate = latch();
    const task = () => gate.opened;
    const first = queue.submit(task, { deadline: soon(), signal: undefined });
    const second = queue.submit(task, { deadline: soon(), signal: undefined });
    await expect(queue.submit(task, { deadline: soon(), signal: undefined })).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      kind: 'overloaded',
      retryAfterMs: expect.any(Number),
    });
    gate.open();
    await Promise.all([first, second]);
  });

  it('never starts a request that expired or was aborted while it waited', async () => {
    const queue = createQueue({ maxDepth: 10, maxAhead: 16 });
    const gate = latch();
    const first = queue.submit(() => gate.opened, { deadline: soon(), signal: undefined });
    const started: string[] = [];
    const note = (name: string) => async (): Promise<void> => {
      started.push(name);
    };
    const controller = new AbortController();
    const expired = queue.submit(note('expired'), { deadline: performance.now() + 5, signal: undefined });
    const aborted = queue.submit(note('aborted'), { deadline: soon(), signal: controller.signal });
    const patient = queue.submit(note('patient'), { deadline: soon(), signal: undefined });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    await expect(expired).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    gate.open();
    await Promise.all([first, patient]);
    expect(started).toEqual(['patient']);
  });

  it('answers a running request at its deadline and frees the place when its task ends', async () => {
    const queue = createQueue({ maxDepth: 10, maxAhead: 16 });
    const gate = latch();
    const slow = queue.submit(() => gate.opened, { deadline: performance.now() + 5, signal: undefined });
    await expect(slow).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const next = queue.submit(async () => 'next', { deadline: soon(), signal: undefined });
    expect(queue.depth).toBe(1);
    gate.open();
    expect((await next).value).toBe('next');
  });

  it('passes on what a task throws and goes on with the next', async () => {
    const queue = createQueue({ maxDepth: 10, maxAhead: 16 });
    const failing = queue.submit(async () => Promise.reject(new Error('broken')), { deadline: soon(), signal: undefined });
    const next = queue.submit(async () => 1, { deadline: soon(), signal: undefined });
    await expect(failing).rejects.toThrow('broken');
    expect((await next).value).toBe(1);
  });

  it('refuses at once what is aborted already', async () => {
    const queue = createQueue({ maxDepth: 10, maxAhead: 16 });
    const submitted = queue.submit(async () => 1, { deadline: soon(), signal: AbortSignal.abort() });
    await expect(submitted).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
  });
});
