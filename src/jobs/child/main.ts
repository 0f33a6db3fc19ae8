import { takeLowestPriority } from '../../concurrency/priority.ts';
import { encodeError } from '../../errors/encode.ts';
import { FOLDER_VARIABLE } from '../../native/installation.ts';
import type { FromJobProcess, ToJobProcess } from '../messages.ts';

/*
 * The program of a job: one process, one job. It is told what to do in one message, tells what happens, answers with one
 * message, and ends. Training takes the processor only when others, such as the runners of models, leave it; for a model
 * that is compiled, somebody waits.
 */

/** How often it says what memory it takes, in milliseconds. */
const MEMORY_MS = 1_000;

process.title = 'slipway-job';
// Only the server decides when a job ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// Whoever started it is gone. What is done is in the checkpoint.
process.on('disconnect', () => process.exit(1));

const stopped = new AbortController();

function send(message: FromJobProcess, sent: () => void = () => {}): void {
  process.send!(message, sent);
}

setInterval(() => send({ kind: 'memory', bytes: process.memoryUsage.rss() }), MEMORY_MS).unref();

type Start = Extract<ToJobProcess, { kind: 'start' }>;

async function train(request: unknown): Promise<unknown> {
  takeLowestPriority();
  const [{ runTraining }, { trainerOf }, { openTeacher }] = await Promise.all([
    import('../training/run-training.ts'),
    import('./train/choose-trainer.ts'),
    import('./train/open-teacher.ts'),
  ]);
  const told = request as Parameters<typeof runTraining>[0];
  return runTraining(
    told,
    {
      createTrainer: trainerOf(told.spec.engine, told.threads, {
        ...(told.spec.backend !== undefined && { backends: [told.spec.backend] }),
        tensorflowFolder: process.env[FOLDER_VARIABLE],
      }),
      openTeacher,
    },
    {
      prepared: ({ inputs, target, rows, unusedRows, unusedColumns }, trained) =>
        send({ kind: 'event', type: 'prepared', data: { inputs, target, rows, unusedRows, unusedColumns, ...trained } }),
      progress: (report) => send({ kind: 'event', type: 'progress', data: { ...report }, progress: report.step / report.steps }),
      epoch: (epoch) => send({ kind: 'event', type: 'epoch', data: { ...epoch }, metrics: epoch.metrics }),
    },
    stopped.signal,
  );
}

async function compile(request: unknown): Promise<unknown> {
  const { compileVersion } = await import('./compile/compile-version.ts');
  return compileVersion(request as Parameters<typeof compileVersion>[0]);
}

async function measureParent(request: unknown): Promise<unknown> {
  takeLowestPriority();
  const own = await import('./optimize/try-variant.ts');
  return own.measureParent(request as Parameters<typeof own.measureParent>[0], stopped.signal);
}

async function tryVariant(request: unknown): Promise<unknown> {
  takeLowestPriority();
  const own = await import('./optimize/try-variant.ts');
  return own.tryVariant(request as Parameters<typeof own.tryVariant>[0], stopped.signal);
}

const WORK: Readonly<Record<string, (request: unknown) => Promise<unknown>>> = {
  train,
  compile,
  'measure-parent': measureParent,
  'try-variant': tryVariant,
};

async function perform({ job, request }: Start): Promise<unknown> {
  const work = WORK[job];
  if (work === undefined) throw new Error(`there are no jobs of the kind ${job}`);
  return work(request);
}

process.on('message', (message: ToJobProcess) => {
  if (message.kind === 'stop') {
    stopped.abort();
    return;
  }
  const answer = (reply: FromJobProcess): void => send(reply, () => process.exit(0));
  perform(message).then(
    (result) => answer({ kind: 'done', result }),
    (error: unknown) => answer({ kind: 'failed', error: encodeError(error) }),
  );
});
