import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { publicKeyText } from '../../packages/signature.ts';
import { type Terminal, UsageError } from '../command.ts';

/** `slipway package keygen FILE` */
export async function keygen(args: readonly string[], { out }: Terminal): Promise<number> {
  const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0) throw new UsageError('name one file for the private key');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  // Never over a key that is there: what it has signed could not be signed again.
  await writeFile(path, privateKey.export({ format: 'pem', type: 'pkcs8' }), { flag: 'wx', mode: 0o600 });
  await writeFile(`${path}.pub`, publicKey.export({ format: 'pem', type: 'spki' }), { flag: 'wx' });
  out.write(`${path}: the private key, to be kept secret\n${path}.pub: the public key ${publicKeyText(publicKey)}\n`);
  return 0;
}
