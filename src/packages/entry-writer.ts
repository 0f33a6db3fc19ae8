import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SlipwayError } from '../errors/slipway-error.ts';
import { createNameCheck, entryParts } from './entry-names.ts';

export interface UnpackLimits {
  readonly maxUnpackedBytes: number;
  readonly maxFiles: number;
  /** Most bytes of the archive itself. */
  readonly maxCompressedBytes: number;
}

export interface Unpacked {
  readonly files: number;
  readonly bytes: number;
}

/** Writes entries into one folder and keeps count. */
export interface EntryWriter {
  /**
   * @param statedBytes the size that the archive states; what is too large by that alone is refused before it is read.
   * @param signal aborted when no more of the content will come.
   */
  write(name: string, content: Readable, statedBytes: number, signal?: AbortSignal): Promise<void>;
  readonly unpacked: Unpacked;
}

function tooLarge(what: string): SlipwayError {
  return new SlipwayError('ARCHIVE_TOO_LARGE', `The archive ${what}.`);
}

export function createEntryWriter(folder: string, { maxUnpackedBytes, maxFiles }: UnpackLimits): EntryWriter {
  const checkName = createNameCheck();
  let files = 0;
  let bytes = 0;
  const tooManyBytes = (): SlipwayError => tooLarge(`unpacks to more than ${maxUnpackedBytes} bytes`);
  return {
    get unpacked() {
      return { files, bytes };
    },
    async write(name, content, statedBytes, signal) {
      const parts = entryParts(name);
      checkName(name, parts);
      files += 1;
      if (files > maxFiles) throw tooLarge(`holds more than ${maxFiles} files`);
      if (bytes + statedBytes > maxUnpackedBytes) throw tooManyBytes();
      const file = join(folder, ...parts);
      await mkdir(dirname(file), { recursive: true, mode: 0o755 });
      // The stated size is not trusted: bytes are counted as they come.
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          if (bytes > maxUnpackedBytes) done(tooManyBytes());
          else done(null, chunk);
        },
      });
      const target = createWriteStream(file, { flags: 'wx', mode: 0o644 });
      await pipeline(content, counted, target, signal === undefined ? {} : { signal });
    },
  };
}
