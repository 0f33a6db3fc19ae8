import { takeLowestPriority } from '../../concurrency/priority.ts';
import { encodeError } from '../../errors/encode.ts';
import type { FromIngestProcess, IngestReply } from './ingest-process.ts';
import { ingest, type IngestProgress, type IngestRequest } from './ingest.ts';

/*
 * The program that reads an uploaded dataset: one process, one dataset. It is told what to read in one message, tells
 * how far it is, answers with one message, and ends. It takes the processor only when others leave it.
 */

/** Least time between messages of progress, in milliseconds. */
const PROGRESS_MS = 250;

takeLowestPriority();
process.title = 'slipway-dataset';
// Whoever started it is gone: what it writes is of no use to anyone.
process.on('disconnect', () => process.exit(1));

process.once('message', (request: IngestRequest) => {
  const answer = (reply: IngestReply): void => {
    process.send!(reply, () => process.exit(0));
  };
  let toldAt = performance.now();
  const onProgress = (progress: IngestProgress): void => {
    if (performance.now() - toldAt < PROGRESS_MS) return;
    toldAt = performance.now();
    process.send!({ progress } satisfies FromIngestProcess, () => {});
  };
  ingest(request, onProgress).then(
    (description) => answer({ description }),
    (error: unknown) => answer({ error: encodeError(error) }),
  );
});
