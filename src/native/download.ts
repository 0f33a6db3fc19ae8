import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors/slipway-error.ts';
import { sha256Of } from '../packages/file-digest.ts';
import { InstallError } from './install-error.ts';
import { type IndexFile, withoutPassword } from './python-index.ts';

/** Told while it goes on. */
export type OnProgress = (done: number, total: number | undefined) => void;

export interface DownloadOptions {
  /** Ends the download; what has come is kept. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: OnProgress;
  /** How often a connection that breaks is made again. */
  readonly retries?: number;
  /** A connection that brings nothing for so long is broken, in milliseconds. */
  readonly idleMs?: number;
}

const RETRIES = 5;
const IDLE_MS = 60_000;
const MAX_WAIT_MS = 10_000;

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}

/** Where the body of a partial answer begins in the file; 0 for an answer that is whole. */
function startOf(response: Response): number {
  if (response.status !== 206) return 0;
  return Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN);
}

/** Adds to what is there until the server has no more. */
async function fetchRest(
  { url, authorization }: IndexFile,
  part: string,
  { onProgress, idleMs = IDLE_MS, signal }: DownloadOptions,
): Promise<void> {
  const have = await sizeOf(part);
  const idle = new AbortController();
  let timer = setTimeout(() => idle.abort(), idleMs);
  try {
    const response = await fetch(url, {
      // Compressed on the way, a range would be one of the compressed bytes.
      headers: {
        'accept-encoding': 'identity',
        ...(have > 0 && { range: `bytes=${have}-` }),
        ...(authorization && { authorization }),
      },
      signal: signal === undefined ? idle.signal : AbortSignal.any([idle.signal, signal]),
    });
    // There is nothing after what we have: it is whole, or not the same file; its digest tells.
    if (response.status === 416) return;
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status}`);
    const start = startOf(response);
    if (start !== 0 && start !== have) throw new Error('the server answers another part than it was asked for');
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const total = Number.isNaN(length) ? undefined : start + length;
    let done = start;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        clearTimeout(timer);
        timer = setTimeout(() => idle.abort(), idleMs);
        done += chunk.length;
        onProgress(done, total);
        next(null, chunk);
      },
    });
    await pipeline(
      Readable.fromWeb(response.body as ReadableStream<Uint8Array>),
      counted,
      createWriteStream(part, { flags: start === 0 ? 'w' : 'a' }),
    );
    if (total !== undefined && done !== total) throw new Error(`the connection ended after ${done} of ${total} bytes`);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Downloads a file of an index and checks its digest. What is there of an earlier try is gone on with, when the server
 * can do that; what does not have the digest in the end is thrown away.
 * @param target path of the file; while it is not whole it is `<target>.part`.
 * @throws InstallError
 */
export async function download(file: IndexFile, target: string, options: DownloadOptions): Promise<void> {
  const { sha256 } = file;
  const { retries = RETRIES, signal } = options;
  if (sha256 === undefined)
    throw new InstallError(`The package index gives no SHA-256 of ${file.name}, so what comes could not be checked.`);
  await mkdir(dirname(target), { recursive: true });
  if ((await sizeOf(target)) > 0 && (await sha256Of(target)) === sha256) return;
  const part = `${target}.part`;
  for (let tries = 0; ; tries += 1) {
    try {
      await fetchRest(file, part, options);
      break;
    } catch (error) {
      if (signal?.aborted === true)
        throw new InstallError(`Interrupted while ${file.name} was downloaded. What has come is kept; run it again to go on.`);
      const said = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      if (tries >= retries)
        throw new InstallError(
          `${file.name} could not be downloaded from ${withoutPassword(file.url)}: ${said}. What has come is kept; run it again to go on.`,
        );
      await delay(Math.min(MAX_WAIT_MS, 100 * 2 ** tries));
    }
  }
  const found = await sha256Of(part);
  if (found !== sha256) {
    await rm(part, { force: true });
    throw new InstallError(`${file.name} has the SHA-256 ${found}, and the package index states ${sha256}. It was thrown away.`);
  }
  await rename(part, target);
}
