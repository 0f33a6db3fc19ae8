import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf } from '../errors/slipway-error.ts';
import { publicKeyText, type TrustedKeys } from './signature.ts';

/** A file of keys that can't be used; the message names it. */
export class KeyFileError extends Error {}

function read<T>(path: string, parse: (pem: string) => T): T {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new KeyFileError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

function ed25519(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`is a key of type ${key.asymmetricKeyType ?? 'unknown'}; it must be Ed25519`);
  return key;
}

/**
 * The private key of a PEM file (PKCS #8), as `slipway package keygen` and `openssl genpkey -algorithm ed25519` write it.
 * @throws KeyFileError
 */
export function readSigningKey(path: string): KeyObject {
  return read(path, (pem) => ed25519(createPrivateKey(pem)));
}

/**
 * The public keys of a PEM file (SPKI), one after the other.
 * @throws KeyFileError also when there is none
 */
export function readTrustedKeys(path: string): TrustedKeys {
  return read(path, (pem) => {
    if (pem.includes('PRIVATE KEY')) throw new Error('holds a private key; it must hold public keys alone');
    const blocks = pem.match(/-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----/gs) ?? [];
    if (blocks.length === 0) throw new Error('holds no public key in PEM');
    return new Set(blocks.map((block) => publicKeyText(ed25519(createPublicKey(block)))));
  });
}

export interface SigningKeys {
  /** Whose signature a version must have; undefined when it needs none. */
  readonly trustedKeys: TrustedKeys | undefined;
  /** Signs what jobs make; undefined when it is not signed. */
  readonly signingKey: KeyObject | undefined;
}

/**
 * The keys that the settings `packages.*` name.
 * @throws KeyFileError also when what jobs make would be signed by a key that is not trusted
 */
export function readSigningKeys({
  requireSignedBy,
  signWith,
}: {
  readonly requireSignedBy?: string | undefined;
  readonly signWith?: string | undefined;
}): SigningKeys {
  const trustedKeys = requireSignedBy === undefined ? undefined : readTrustedKeys(requireSignedBy);
  const signingKey = signWith === undefined ? undefined : readSigningKey(signWith);
  if (signingKey !== undefined && trustedKeys?.has(publicKeyText(createPublicKey(signingKey))) === false)
    throw new KeyFileError(
      `${signWith}: is not the private key of one of the keys in ${requireSignedBy}; what jobs make would not be served`,
    );
  return { trustedKeys, signingKey };
}
