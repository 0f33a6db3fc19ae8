import { parseArgs } from 'node:util';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { readVersionFolder } from '../../packages/read-version.ts';
import { readTrustedKeys } from '../../packages/signing-keys.ts';
import { type Terminal, UsageError } from '../command.ts';
import { withPackage } from './open-package.ts';

/** `slipway package verify [--trust FILE] PATH…` */
export async function verify(args: readonly string[], { out, err }: Terminal): Promise<number> {
  const { positionals, values } = parseArgs({ args: [...args], allowPositionals: true, options: { trust: { type: 'string' } } });
  if (positionals.length === 0) throw new UsageError('name a package or a version folder');
  const trusted = values.trust === undefined ? undefined : readTrustedKeys(values.trust);
  let refused = 0;
  for (const path of positionals) {
    try {
      const { format, bytes, files, signedBy } = await withPackage(path, (folder) => readVersionFolder(folder, trusted));
      const signature = signedBy === undefined ? 'not signed' : `signed by ${signedBy}`;
      out.write(`${path}: ${format}, ${files.length} files, ${bytes} bytes, ${signature}\n`);
      for (const name of files) out.write(`  ${name}\n`);
    } catch (error) {
      refused += 1;
      err.write(`${path}: ${error instanceof SlipwayError ? `${error.code}: ` : ''}${messageOf(error)}\n`);
    }
  }
  return refused === 0 ? 0 : 1;
}
