import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** The SHA-256 of a file in lower-case hex, read as a stream. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** The SHA-256 of a file in a folder, by its name there. */
export type DigestOf = (name: string) => Promise<string>;

/** Digests of the files of a folder; each file is read once, however often it is asked for. */
export function createDigests(folder: string): DigestOf {
  const known = new Map<string, Promise<string>>();
  return (name) => {
    let digest = known.get(name);
    if (digest === undefined) known.set(name, (digest = sha256Of(join(folder, name))));
    return digest;
  };
}

/** The digests of files by their names. */
export async function digestsBy(names: Iterable<string>, digestOf: DigestOf): Promise<Record<string, string>> {
  const digests: [string, string][] = [];
  for (const name of names) digests.push([name, await digestOf(name)]);
  return Object.fromEntries(digests);
}
