import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { filesOf } from '../../packages/pack.ts';
import { readVersionFolder } from '../../packages/read-version.ts';
import { SIGNATURE_FILE, signatureOf } from '../../packages/signature.ts';
import { readSigningKey } from '../../packages/signing-keys.ts';
import { compressed, COMPRESSED_ENDING } from '../../packages/compression.ts';
import { packSlip } from '../../packages/slip.ts';
import { type Terminal, UsageError } from '../command.ts';
import { withPackage } from './open-package.ts';
import { sizeText, writeStream } from './write-stream.ts';

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
  if (isFolder) return undefined;
  return path.endsWith(`.slip${COMPRESSED_ENDING}`) ? path : `${path.replace(/\.(slip|tar\.gz|tar\.zst|tgz|tar|zip)$/, '')}.slip`;
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
    else {
      const slip = packSlip(new Map([...(await filesOf(folder)), [SIGNATURE_FILE, { content }]]));
      await writeStream(target.endsWith(COMPRESSED_ENDING) ? compressed(slip) : slip, target);
    }
    out.write(`${target ?? path}: signed by ${publicKey}${target === undefined ? '' : `, ${await sizeText(target)}`}\n`);
  });
  return 0;
}
