import { takeLowestPriority } from '../../concurrency/priority.ts';
import { encodeError } from '../../errors/encode.ts';
import type { IngestReply } from './ingest-process.ts';
import { ingest, type IngestRequest } from './ingest.ts';

/*
 * The program that reads an uploaded dataset: one process, one dataset. It is told what to read in one message, answers
 * with one, and ends. It takes the processor only when others leave it.
 */

takeLowestPriority();
process.title = 'slipway-dataset';
// Whoever started it is gone: what it writes is of no use to anyone.
process.on('disconnect', () => process.exit(1));

process.once('message', (request: IngestRequest) => {
  const answer = (reply: IngestReply): void => {
    process.send!(reply, () => process.exit(0));
  };
  ingest(request).then(
    (description) => answer({ description }),
    (error: unknown) => answer({ error: encodeError(error) }),
  );
});
