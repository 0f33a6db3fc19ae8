import { takeLowestPriority } from '../../concurrency/priority.ts';
import { encodeError } from '../../errors/encode.ts';
import type { FromJobProcess, ToJobProcess } from '../messages.ts';

/*
 * The program of a job: one process, one job. It is told what to do in one message, tells what happens, answers with one
 * message, and ends. It takes the processor only when others, such as the runners of models, leave it.
 */

/** How often it says what memory it takes, in milliseconds. */
const MEMORY_MS = 1_000;

takeLowestPriority();
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

async function perform({ job, request }: Start): Promise<unknown> {
  if (job !== 'train') throw new Error(`there are no jobs of the kind ${job}`);
  const [{ runTraining }, { createTfjsTrainer }] = await Promise.all([
    import('../training/run-training.ts'),
    import('../../engines/tfjs/training/tfjs-trainer.ts'),
  ]);
  return runTraining(
    request as Parameters<typeof runTraining>[0],
    createTfjsTrainer,
    {
      prepared: ({ inputs, target, rows, unusedRows, unusedColumns }, layers, parameters) =>
        send({ kind: 'event', type: 'prepared', data: { inputs, target, rows, unusedRows, unusedColumns, layers, parameters } }),
      progress: (report) => send({ kind: 'event', type: 'progress', data: { ...report }, progress: report.step / report.steps }),
      epoch: (epoch) => send({ kind: 'event', type: 'epoch', data: { ...epoch }, metrics: epoch.metrics }),
    },
    stopped.signal,
  );
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
