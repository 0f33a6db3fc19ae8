import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createBrotliCompress, createBrotliDecompress, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { type ArchiveFiles, filesOf } from './pack.ts';
import { packSlip } from './slip.ts';

/** Entropy coders, without loss. */
type Codec = 'zstd' | 'brotli';

/** Node has zstd from 22.15 on; brotli always. */
const PREFERRED: Codec = typeof createZstdCompress === 'function' ? 'zstd' : 'brotli';

/** Packages are compressed once and sent often. */
const ZSTD_LEVEL = 19;

function compressor(codec: Codec): Transform {
  return codec === 'zstd'
    ? createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } })
    : createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } });
}

/** What undoes `compressSlip`. */
export function decompressor(codec: Codec): Transform {
  return codec === 'zstd' ? createZstdDecompress() : createBrotliDecompress();
}

/**
 * Files as a `.slip` in fewer bytes. The same files give the same bytes from the same version of Node.
 * @param codec default: zstd where Node has it, else brotli
 */
export function compressSlip(files: ArchiveFiles, codec: Codec = PREFERRED): { readonly codec: Codec; readonly stream: Readable } {
  const compressed = compressor(codec);
  // An error of a file surfaces where the stream is read.
  pipeline(packSlip(files), compressed).catch((error: Error) => compressed.destroy(error));
  return { codec, stream: compressed };
}

export interface CompressionReport {
  readonly codec: Codec;
  /** Of the package as it is. */
  readonly bytes: number;
  /** Of the compressed package. */
  readonly compressedBytes: number;
  /** How many times smaller that is. */
  readonly ratio: number;
}

/**
 * How small a version becomes as a compressed package. Weights of floats shrink by a tenth; those of a few different numbers,
 * after `cluster` or pruning, to what they really tell.
 */
export async function measureCompression(folder: string): Promise<CompressionReport> {
  const files = await filesOf(folder);
  let bytes = 0;
  for await (const chunk of packSlip(files)) bytes += (chunk as Buffer).length;
  const { codec, stream } = compressSlip(files);
  let compressedBytes = 0;
  for await (const chunk of stream) compressedBytes += (chunk as Buffer).length;
  return { codec, bytes, compressedBytes, ratio: bytes / compressedBytes };
}
