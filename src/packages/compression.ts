import type { Readable, Transform } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';

/** The first bytes of a Zstandard frame (RFC 8878, 3.1.1). */
export const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** What names of compressed packages end in. */
export const COMPRESSED_ENDING = '.zst';

/**
 * Float weights shrink by a tenth at any level; clustered and pruned ones by some percent more for each, the last of which
 * are tens of times slower.
 */
const DEFAULT_LEVEL = 9;

/** Zstandard with its own checksum. What goes in decides what comes out, for the same version of Node. */
export function compressor(level = DEFAULT_LEVEL): Transform {
  return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** What undoes `compressor`. */
export function decompressor(): Transform {
  return createZstdDecompress();
}

/**
 * Hands a stream over piece by piece and ends it only after the last one: where the end is known before, Node flushes the last
 * piece otherwise, so that the same content would give other bytes by chance.
 */
async function feed(source: Readable, fewer: Transform): Promise<void> {
  for await (const chunk of source) {
    await new Promise<void>((done, failed) => {
      fewer.write(chunk, (error) => (error ? failed(error) : done()));
    });
  }
  fewer.end();
}

/** A stream in fewer bytes. An error of the stream surfaces where the result is read. */
export function compressed(source: Readable, level?: number): Readable {
  const fewer = compressor(level);
  fewer.once('close', () => source.destroy());
  feed(source, fewer).catch((error: Error) => fewer.destroy(error));
  return fewer;
}
