import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { configSchema } from '../../config/schema.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { readVersionFolder, type VersionFolder } from '../../packages/read-version.ts';
import { unpackArchive } from '../../packages/unpack.ts';
import { type Terminal, UsageError } from '../command.ts';

/** Reads a package as the server would with its defaults; an archive is unpacked into a folder that is gone afterwards. */
async function read(path: string): Promise<VersionFolder> {
  if ((await stat(path)).isDirectory()) return readVersionFolder(path);
  const folder = await mkdtemp(join(tmpdir(), 'slipway-package-'));
  try {
    const { maxUnpackedBytes, maxPackageFiles, maxUploadBytes } = configSchema.parse({}).limits;
    const unpacked = join(folder, 'version');
    await unpackArchive(createReadStream(path), unpacked, {
      maxUnpackedBytes,
      maxFiles: maxPackageFiles,
      maxCompressedBytes: maxUploadBytes,
    });
    return await readVersionFolder(unpacked);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `slipway package verify PATH…` */
export async function verify(args: readonly string[], { out, err }: Terminal): Promise<number> {
  const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
  if (positionals.length === 0) throw new UsageError('name a package or a version folder');
  let refused = 0;
  for (const path of positionals) {
    try {
      const { format, bytes, files, manifest } = await read(path);
      const stated = Object.keys(manifest.files ?? {}).length;
      out.write(`${path}: ${format}, ${files.length} files, ${bytes} bytes, ${stated} with a stated SHA-256\n`);
      for (const name of files) out.write(`  ${name}\n`);
    } catch (error) {
      refused += 1;
      err.write(`${path}: ${error instanceof SlipwayError ? `${error.code}: ` : ''}${messageOf(error)}\n`);
    }
  }
  return refused === 0 ? 0 : 1;
}
