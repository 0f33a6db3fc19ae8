import type { Readable } from 'node:stream';

/** Something that happened to a job; see `GET /train-jobs/{id}/events` and its like. */
export interface JobEvent {
  readonly id: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function parseEvent(block: string): JobEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''));
  }
  const data = fields.get('data');
  if (data === undefined) return undefined; // a comment that keeps the connection open
  return { id: Number(fields.get('id')), type: fields.get('event') ?? 'message', data: JSON.parse(data) as JobEvent['data'] };
}

/** Server-sent events (WHATWG's HTML standard, section 9.2), each with its data on one line, as our servers write them. */
export async function* parseEventStream(stream: Readable): AsyncIterable<JobEvent> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    text += chunk as string;
    const blocks = text.split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event !== undefined) yield event;
    }
  }
}
