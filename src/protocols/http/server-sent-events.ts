import { PassThrough, type Readable } from 'node:stream';

export interface ServerSentEvent {
  readonly id: number;
  readonly type: string;
  readonly data: unknown;
}

/** How often an idle stream sends a comment, so that nothing between takes the connection for dead, in milliseconds. */
const KEEP_ALIVE_MS = 15_000;

/** Events in the format of WHATWG's HTML standard, section 9.2, as `EventSource` reads it. */
export function eventStream(events: AsyncIterable<ServerSentEvent>): Readable {
  const stream = new PassThrough();
  // So that a client sees that it is connected before there is anything to tell.
  stream.write(': connected\n\n');
  const timer = setInterval(() => stream.write(': still here\n\n'), KEEP_ALIVE_MS);
  stream.once('close', () => clearInterval(timer));
  void (async () => {
    try {
      for await (const { id, type, data } of events) {
        if (stream.destroyed) return;
        const taken = stream.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
        if (!taken) await new Promise<void>((resolve) => void stream.once('drain', resolve).once('close', resolve));
      }
      stream.end();
    } catch (error) {
      stream.destroy(error as Error);
    }
  })();
  return stream;
}
