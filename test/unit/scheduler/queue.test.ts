import { describe, expect, it } from 'vitest';
import { createQueue, type Queue, type Submission } from '../../../src/scheduler/queue.ts';

const soon = (): number => performance.now() + 10_000;

interface Latch {
  readonly opened: Promise<void>;
  open(): void;
}

function latch(): Latch {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** Something to run; `rows` is what the queue knows of its size. */
interface Task {
  readonly rows: number;
  run(): Promise<unknown>;
}

interface QueueSettings {
  readonly maxDepth?: number;
  /** Most tasks that go together. */
  readonly together?: number;
  readonly msPerRow?: number;
  readonly now?: () => number;
}

function queueOf({ maxDepth = 10, together = 16, msPerRow = 0, ...rest }: QueueSettings = {}): Queue<Task, unknown> {
  return createQueue<Task, unknown>({
    maxDepth: () => maxDepth,
    select: (waiting) => [...waiting].slice(0, together),
    run: (tasks) => tasks.map((task) => task.run()),
    drainMs: (rows) => rows * msPerRow,
    mostRows: () => 100,
    ...rest,
  });
}

function task(run: () => Promise<unknown>, rows = 1): Task {
  return { rows, run };
}

const patient = (more: Partial<Submission> = {}): Submission => ({ deadline: soon(), signal: undefined, priority: 10, ...more });

/** The end of this turn of the event loop, when what came in it is started. */
const turn = (): Promise<void> => new Promise(setImmediate);

describe('createQueue', () => {
  it('sends on what gathered while the runner worked, in the order of arrival', async () => {
    const queue = queueOf({ together: 2 });
    const gates = [latch(), latch(), latch(), latch()];
    const started: number[] = [];
    const done = gates.map((gate, index) =>
      queue.submit(
        task(async () => {
          started.push(index);
          await gate.opened;
          return index;
        }),
        patient(),
      ),
    );
    expect(started).toEqual([]);
    expect(queue.depth).toBe(4);
    await turn();
    expect(started).toEqual([0, 1]);
    expect(queue.depth).toBe(2);
    gates[1]!.open();
    await done[1];
    expect(started).toEqual([0, 1]);
    gates[0]!.open();
    await done[0];
    expect(started).toEqual([0, 1, 2, 3]);
    gates[2]!.open();
    gates[3]!.open();
    expect((await Promise.all(done)).map(({ value }) => value)).toEqual([0, 1, 2, 3]);
    expect(queue.depth).toBe(0);
  });

  it('lets what is more urgent go first, and keeps the order among equals', async () => {
    const queue = queueOf({ together: 1 });
    const started: string[] = [];
    const submit = (name: string, priority: number): Promise<unknown> =>
      queue.submit(
        task(async () => started.push(name)),
        patient({ priority }),
      );
    const first = submit('first', 10);
    await turn();
    await Promise.all([first, submit('late', 10), submit('later', 10), submit('urgent', 1), submit('soon', 2), submit('urgent too', 1)]);
    expect(started).toEqual(['first', 'urgent', 'urgent too', 'soon', 'late', 'later']);
  });

  it('refuses a request beyond its depth with the time after which to try again', async () => {
    const queue = queueOf({ maxDepth: 1 });
    const gate = latch();
    const wait = task(() => gate.opened);
    const first = queue.submit(wait, patient());
    await turn();
    const second = queue.submit(wait, patient());
    await expect(queue.submit(wait, patient())).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      kind: 'overloaded',
      retryAfterMs: expect.any(Number),
    });
    gate.open();
    await Promise.all([first, second]);
  });

  it('refuses nobody for a request of far more rows than were measured', async () => {
    const queue = queueOf({ together: 1, msPerRow: 10, now: () => 0 });
    const gate = latch();
    const large = queue.submit(
      task(() => gate.opened, 1_000_000),
      patient({ deadline: 60_000 }),
    );
    await turn();
    const small = queue.submit(
      task(() => gate.opened),
      patient({ deadline: 30_000 }),
    );
    const other = queue.submit(
      task(() => gate.opened, 1_000_000),
      patient({ deadline: 30_000 }),
    );
    expect(queue.depth).toBe(2);
    gate.open();
    await Promise.all([large, small, other]);
  });

  it('refuses at once what could not be answered in its time, and nothing else', async () => {
    let time = 0;
    const queue = queueOf({ together: 1, msPerRow: 10, now: () => time });
    const gate = latch();
    const wait = (rows: number): Task => task(() => gate.opened, rows);
    const submit = (rows: number, deadline: number): Promise<unknown> => queue.submit(wait(rows), patient({ deadline }));
    const taken = [submit(1, 60_000)];
    await turn();
    taken.push(submit(2, 60_000));
    // One row of work is in the runner, two wait, and its own comes behind them.
    expect(queue.waitMs).toBe(30);
    await expect(submit(1, 39)).rejects.toMatchObject({ code: 'DEADLINE_UNREACHABLE', kind: 'overloaded', retryAfterMs: 1 });
    taken.push(submit(1, 40));
    time = 5;
    expect(queue.waitMs).toBe(35);
    gate.open();
    await Promise.all(taken);
    expect(queue.waitMs).toBe(0);
  });

  it('never starts a request that expired or was aborted while it waited', async () => {
    const queue = queueOf();
    const gate = latch();
    const first = queue.submit(
      task(() => gate.opened),
      patient(),
    );
    await turn();
    const started: string[] = [];
    const note = (name: string): Task => task(async () => started.push(name));
    const controller = new AbortController();
    const expired = queue.submit(note('expired'), patient({ deadline: performance.now() + 5 }));
    const aborted = queue.submit(note('aborted'), patient({ signal: controller.signal }));
    const waits = queue.submit(note('patient'), patient());
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    await expect(expired).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    gate.open();
    await Promise.all([first, waits]);
    expect(started).toEqual(['patient']);
  });

  it('answers a running request at its deadline and frees the place when its task ends', async () => {
    const queue = queueOf();
    const gate = latch();
    const slow = queue.submit(
      task(() => gate.opened),
      patient({ deadline: performance.now() + 5 }),
    );
    await expect(slow).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const next = queue.submit(
      task(async () => 'next'),
      patient(),
    );
    expect(queue.depth).toBe(1);
    gate.open();
    expect((await next).value).toBe('next');
  });

  it('passes on what a task throws and goes on with the next', async () => {
    const queue = queueOf();
    const failing = queue.submit(
      task(async () => Promise.reject(new Error('broken'))),
      patient(),
    );
    const next = queue.submit(
      task(async () => 1),
      patient(),
    );
    await expect(failing).rejects.toThrow('broken');
    expect((await next).value).toBe(1);
  });

  it('refuses at once what is aborted already', async () => {
    const submitted = queueOf().submit(
      task(async () => 1),
      patient({ signal: AbortSignal.abort() }),
    );
    await expect(submitted).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
  });
});
