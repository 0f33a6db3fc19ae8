import { expect } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';

export interface SentEvent {
  readonly id: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Jobs of one kind on a server. */
export interface JobsClient {
  /** Sends a spec that is taken. */
  submit(spec: unknown, headers?: Readonly<Record<string, string>>): Promise<Job>;
  /** The whole stream of a job's events; it ends with the job. */
  eventsOf(id: string, after?: number): Promise<SentEvent[]>;
  /** Reads the stream until an event comes that fits, and leaves. */
  eventFrom(id: string, fits: (event: SentEvent) => boolean): Promise<SentEvent>;
  describe(id: string): Promise<Job>;
  /** Waits for the end. */
  ended(id: string): Promise<Job>;
}

function parseEvents(text: string): SentEvent[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('id:'))
    .map((block) => {
      const [, eventId, type, data] = /^id: (\d+)\nevent: (\S+)\ndata: (.*)$/.exec(block)!;
      return { id: Number(eventId), type: type!, data: JSON.parse(data!) as SentEvent['data'] };
    });
}

/** @param path of the kind, `/train-jobs` */
export function jobsClient(address: string, path: string): JobsClient {
  const client: JobsClient = {
    async submit(spec, headers = {}) {
      const response = await fetch(`${address}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(spec),
      });
      const body = await response.text();
      expect(response.status, body).toBe(202);
      const job = JSON.parse(body) as Job;
      expect(response.headers.get('location')).toBe(`${path}/${job.id}`);
      return job;
    },
    async eventsOf(id, after = 0) {
      const response = await fetch(`${address}${path}/${id}/events`, { headers: { 'last-event-id': String(after) } });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      return parseEvents(await response.text());
    },
    async eventFrom(id, fits) {
      const leave = new AbortController();
      const response = await fetch(`${address}${path}/${id}/events`, { signal: leave.signal });
      let text = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const found = parseEvents(text.slice(0, text.lastIndexOf('\n\n') + 2)).find(fits);
        if (found === undefined) continue;
        leave.abort();
        return found;
      }
      throw new Error(`the stream ended: ${text}`);
    },
    async describe(id) {
      return (await (await fetch(`${address}${path}/${id}`)).json()) as Job;
    },
    async ended(id) {
      await client.eventsOf(id);
      return client.describe(id);
    },
  };
  return client;
}
