import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkSchema, findingText } from '../errors/check-schema.ts';
import { hasCode } from '../errors/has-code.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { createDigests, type DigestOf, digestsBy } from './file-digest.ts';
import { sha256Schema } from './manifest.ts';
import { filesOf } from './pack.ts';

/**
 * The signature of a version, a file among its files, so that it stays with them in every kind of archive and in a bare
 * folder. It covers all the others: which there are, and what is in each.
 */
export const SIGNATURE_FILE = 'slipway.signature.json';

/** Ten thousand files with long names; one that is larger is something else. */
const MAX_SIGNATURE_BYTES = 16 * 1024 * 1024;

/** So many bytes in base64, written in the one way that is right: the last digit has bits that stand for nothing. */
function base64Of(bytes: number, what: string) {
  return z.string().refine((text) => {
    const decoded = Buffer.from(text, 'base64');
    return decoded.length === bytes && decoded.toString('base64') === text;
  }, `must be the ${bytes} bytes of an Ed25519 ${what} in base64`);
}

/** An Ed25519 public key is 32 bytes, a signature 64 (RFC 8032); both in base64. */
const signatureSchema = z.strictObject({
  algorithm: z.literal('ed25519'),
  publicKey: base64Of(32, 'public key'),
  signature: base64Of(64, 'signature'),
  /** SHA-256 of every other file by its name. */
  files: z.record(z.string(), sha256Schema),
});

type Signature = z.infer<typeof signatureSchema>;

/** Public keys whose signatures count, in base64. */
export type TrustedKeys = ReadonlySet<string>;

/** What is signed: a line that says what for, so that it can stand for nothing else, and the files in the order of their names. */
function signedBytes(files: Readonly<Record<string, string>>): Buffer {
  const sorted = Object.entries(files).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Buffer.from(`slipway package signature, version 1\n${JSON.stringify(sorted)}`);
}

/** The 32 bytes of an Ed25519 public key in base64. */
export function publicKeyText(key: KeyObject): string {
  // As a JSON Web Key it is base64url (RFC 8037).
  return Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url').toString('base64');
}

async function digestsOf(folder: string, digestOf: DigestOf): Promise<Record<string, string>> {
  const names = [...(await filesOf(folder)).keys()];
  return digestsBy(
    names.filter((name) => name !== SIGNATURE_FILE),
    digestOf,
  );
}

/** The signature of the files of a version folder as they are; an earlier one does not count among them. */
export interface MadeSignature {
  /** What is to be in SIGNATURE_FILE. */
  readonly content: string;
  /** The public key in base64. */
  readonly publicKey: string;
}

/** @param key an Ed25519 private key */
export async function signatureOf(folder: string, key: KeyObject): Promise<MadeSignature> {
  const files = await digestsOf(folder, createDigests(folder));
  const publicKey = publicKeyText(createPublicKey(key));
  const signature: Signature = {
    algorithm: 'ed25519',
    publicKey,
    signature: sign(null, signedBytes(files), key).toString('base64'),
    files,
  };
  return { content: `${JSON.stringify(signature, null, 2)}\n`, publicKey };
}

function invalid(problem: string, details?: SlipwayError['details']): SlipwayError {
  return new SlipwayError('INVALID_SIGNATURE', `${SIGNATURE_FILE} ${problem}.`, details && { details });
}

/** The signature file as it stands; undefined when there is none. */
async function readSignature(folder: string): Promise<Signature | undefined> {
  const path = join(folder, SIGNATURE_FILE);
  try {
    if ((await stat(path)).size > MAX_SIGNATURE_BYTES) throw invalid(`is larger than ${MAX_SIGNATURE_BYTES} bytes`);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw invalid(`is not valid JSON: ${messageOf(error)}`);
  }
  const checked = checkSchema(signatureSchema, value);
  if ('data' in checked) return checked.data;
  throw invalid(`is not a signature: ${findingText(checked.findings[0])}`, checked.findings);
}

/** The first difference between what was signed and what is there, in words. */
function differenceBetween(signed: Readonly<Record<string, string>>, found: Readonly<Record<string, string>>): string | undefined {
  for (const name of Object.keys(signed).toSorted()) {
    if (!Object.hasOwn(found, name)) return `covers ${name}, which is not there`;
    if (found[name] !== signed[name]) return `covers ${name} with the SHA-256 ${signed[name]}; it has ${found[name]}`;
  }
  const extra = Object.keys(found).find((name) => !Object.hasOwn(signed, name));
  return extra === undefined ? undefined : `does not cover ${extra}`;
}

/**
 * Checks who has signed the files of a version folder. A signature that is there must fit, also where none is asked for.
 * @param trusted whose signature it must be; undefined when none is asked for
 * @returns the signer's public key in base64; undefined when the version is not signed
 * @throws SlipwayError INVALID_SIGNATURE when the signature does not fit the files, UNTRUSTED_PACKAGE when there is none
 *   that counts
 */
export async function checkSignature(
  folder: string,
  trusted: TrustedKeys | undefined,
  digestOf: DigestOf = createDigests(folder),
): Promise<string | undefined> {
  const stated = await readSignature(folder);
  if (stated === undefined) {
    if (trusted === undefined) return undefined;
    throw new SlipwayError('UNTRUSTED_PACKAGE', `The version is not signed; only signed versions are taken here.`);
  }
  const { publicKey, signature, files } = stated;
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey, 'base64').toString('base64url') },
  });
  if (!verify(null, signedBytes(files), key, Buffer.from(signature, 'base64')))
    throw invalid(`is not what the key ${publicKey} has signed`);
  if (trusted?.has(publicKey) === false)
    throw new SlipwayError('UNTRUSTED_PACKAGE', `The version is signed by the key ${publicKey}, which is not trusted here.`);
  const difference = differenceBetween(files, await digestsOf(folder, digestOf));
  if (difference !== undefined) throw invalid(difference);
  return publicKey;
}
