import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, createServerClient, type ServerAddress } from '../server-client.ts';
import { contentOf } from './dataset-content.ts';
import { type JobEvent, parseEventStream } from './event-stream.ts';

/** What is known of a job of any kind. */
export interface AnyJob {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'cancelling' | 'cancelled' | 'failed' | 'succeeded';
  readonly reason: string;
  readonly error?: { readonly code: string };
}

/** A training job, as far as it is shown. */
export interface TrainJob extends AnyJob {
  readonly spec: { readonly epochs: number };
  readonly metrics: Readonly<Record<string, number>>;
  readonly result?: {
    readonly published?: { readonly model: string; readonly version: number };
    readonly engine: string;
    readonly measuredOn: string;
  };
}

export interface StoredDataset {
  readonly name: string;
  readonly rows: number;
  readonly digest: string;
}

/** The routes of a server that jobs of a kind need. Every function throws `ApiError`. */
export interface JobsApi<J extends AnyJob = TrainJob> {
  submit(spec: unknown, signal: AbortSignal): Promise<J>;
  describe(id: string): Promise<J>;
  cancel(id: string): Promise<J>;
  /** All that has happened to a job, and then what happens, until it has ended; connects again when the connection breaks. */
  events(id: string, signal: AbortSignal): AsyncIterable<JobEvent>;
  /**
   * Makes a dataset of a file, or of the files in a folder. One with the same content that is there already is taken as
   * it is; another one of that name stays, and the new one has the beginning of its digest in its name.
   */
  upload(path: string, name: string, onSent: (bytes: number, total: number) => void, signal: AbortSignal): Promise<StoredDataset>;
}

export interface ApiOptions extends ServerAddress {
  /** The route of the kind of jobs. Default `/train-jobs`. */
  readonly jobs?: string;
}

/** Tries in a row to get a broken stream of events back, and the wait before each, in milliseconds. */
const RECONNECT_TRIES = 30;
const RECONNECT_MS = 1_000;

async function* counted(content: Readable, onCount: (bytes: number) => void): AsyncIterable<Buffer> {
  let bytes = 0;
  for await (const chunk of content) {
    yield chunk as Buffer;
    onCount((bytes += (chunk as Buffer).length));
  }
}

export function createApi<J extends AnyJob = TrainJob>({ jobs = '/train-jobs', ...address }: ApiOptions): JobsApi<J> {
  const { send, json } = createServerClient(address);

  async function find(name: string, signal: AbortSignal): Promise<StoredDataset | undefined> {
    try {
      return await json<StoredDataset>(`/datasets/${encodeURIComponent(name)}`, { signal });
    } catch (error) {
      if (error instanceof ApiError && error.code === 'DATASET_NOT_FOUND') return undefined;
      throw error;
    }
  }

  return {
    submit: (spec, signal) =>
      json(jobs, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(spec), signal }),
    describe: (id) => json(`${jobs}/${encodeURIComponent(id)}`),
    cancel: (id) => json(`${jobs}/${encodeURIComponent(id)}/cancel`, { method: 'POST' }),
    async *events(id, signal) {
      let last = 0;
      for (let tries = 0; ;) {
        try {
          const headers = { 'last-event-id': String(last) };
          const stream = await send(`${jobs}/${encodeURIComponent(id)}/events`, { headers, signal });
          for await (const event of parseEventStream(stream)) {
            last = event.id;
            tries = 0;
            yield event;
          }
          // A server that stops ends the stream as well, and the job goes on after its next start.
          const { state } = await json<J>(`${jobs}/${encodeURIComponent(id)}`);
          if (state === 'succeeded' || state === 'failed' || state === 'cancelled') return;
        } catch (error) {
          if (signal.aborted) return;
          const answered = error instanceof ApiError && error.code !== undefined && error.code !== 'SHUTTING_DOWN';
          if (answered || tries >= RECONNECT_TRIES) throw error;
        }
        tries += 1;
        await delay(RECONNECT_MS, undefined, { signal }).catch(() => {});
      }
    },
    async upload(path, name, onSent, signal) {
      const { digest, bytes, contentType, file, open } = await contentOf(path);
      let known = await find(name, signal);
      let free = name;
      if (known !== undefined && known.digest !== digest) {
        free = `${name}-${digest.slice(0, 8)}`;
        known = await find(free, signal);
      }
      if (known !== undefined) return known;
      const query = new URLSearchParams({ name: free, ...(file !== undefined && { file }) });
      return json(`/datasets?${query.toString()}`, {
        method: 'POST',
        headers: { 'content-type': contentType, 'content-length': String(bytes) },
        signal,
        body: Readable.from(
          counted(open(), (sent) => onSent(sent, bytes)),
          { objectMode: false },
        ),
      });
    },
  };
}
