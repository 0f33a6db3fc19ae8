import { createWriteStream } from 'node:fs';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { type ArchiveFiles, filesOf } from '../../packages/pack.ts';
import { readVersionFolder } from '../../packages/read-version.ts';
import { SIGNATURE_FILE, signatureOf } from '../../packages/signature.ts';
import { readSigningKey } from '../../packages/signing-keys.ts';
import { packSlip } from '../../packages/slip.ts';
import { type Terminal, UsageError } from '../command.ts';
import { withPackage } from './open-package.ts';

/** Writes a `.slip` that takes the place of an earlier one only when it is whole. */
async function writeSlip(files: ArchiveFiles, path: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  try {
    await pipeline(packSlip(files), createWriteStream(draft, { flags: 'wx' }));
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** What could not be served is not worth a signature. One that does not fit any more is what a new one is wanted for. */
async function checkContents(folder: string): Promise<void> {
  try {
    await readVersionFolder(folder);
  } catch (error) {
    if (!(error instanceof SlipwayError && error.code === 'INVALID_SIGNATURE')) throw error;
  }
}

/** Where the `.slip` goes; undefined for a folder that is signed in place. */
function targetOf(path: string, isFolder: boolean, out: string | undefined): string | undefined {
  if (out !== undefined) return out;
  return isFolder ? undefined : `${path.replace(/\.(slip|tar\.gz|tgz|tar|zip)$/, '')}.slip`;
}

/** `slipway package sign PATH --key FILE [--out FILE]` */
export async function sign(args: readonly string[], { out }: Terminal): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { key: { type: 'string' }, out: { type: 'string' } },
  });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0) throw new UsageError('name one package or version folder');
  if (values.key === undefined) throw new UsageError('--key names the file of the private key');
  const key = readSigningKey(values.key);
  const target = targetOf(path, (await stat(path)).isDirectory(), values.out);
  await withPackage(path, async (folder) => {
    await checkContents(folder);
    const { content, publicKey } = await signatureOf(folder, key);
    if (target === undefined) await writeFile(join(folder, SIGNATURE_FILE), content);
    else await writeSlip(new Map([...(await filesOf(folder)), [SIGNATURE_FILE, { content }]]), target);
    out.write(`${target ?? path}: signed by ${publicKey}\n`);
  });
  return 0;
}
