import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../config/schema.ts';
import { unpackArchive } from '../../packages/unpack.ts';

/**
 * Hands over the folder of a package: the one that is named, or one into which an archive is unpacked under the server's
 * default limits and which is gone afterwards.
 */
export async function withPackage<T>(path: string, use: (folder: string) => Promise<T>): Promise<T> {
  if ((await stat(path)).isDirectory()) return use(path);
  const temporary = await mkdtemp(join(tmpdir(), 'slipway-package-'));
  try {
    const { maxUnpackedBytes, maxPackageFiles, maxUploadBytes } = configSchema.parse({}).limits;
    const folder = join(temporary, 'version');
    await unpackArchive(createReadStream(path), folder, {
      maxUnpackedBytes,
      maxFiles: maxPackageFiles,
      maxCompressedBytes: maxUploadBytes,
    });
    return await use(folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
