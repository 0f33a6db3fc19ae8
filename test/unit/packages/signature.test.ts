import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSignature, publicKeyText, SIGNATURE_FILE, signatureOf } from '../../../src/packages/signature.ts';
import { KeyFileError, readSigningKey, readSigningKeys, readTrustedKeys } from '../../../src/packages/signing-keys.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const own = generateKeyPairSync('ed25519');
const other = generateKeyPairSync('ed25519');
const trusted = new Set([publicKeyText(own.publicKey)]);

async function signedFolder(key: KeyObject = own.privateKey): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'model.onnx'), 'weights');
  await writeFile(join(folder, 'slipway.json'), '{"description":"Ours."}');
  await writeFile(join(folder, SIGNATURE_FILE), (await signatureOf(folder, key)).content);
  return folder;
}

describe('the signature of a version', () => {
  it('names its signer, whether or not one is asked for', async () => {
    const folder = await signedFolder();
    expect(await checkSignature(folder, trusted)).toBe(publicKeyText(own.publicKey));
    expect(await checkSignature(folder, undefined)).toBe(publicKeyText(own.publicKey));
  });

  it('may be missing only where none is asked for', async () => {
    const folder = await signedFolder();
    await rm(join(folder, SIGNATURE_FILE));
    expect(await checkSignature(folder, undefined)).toBeUndefined();
    await expect(checkSignature(folder, trusted)).rejects.toMatchObject({ code: 'UNTRUSTED_PACKAGE', message: /is not signed/ });
  });

  it('by a key that is not trusted does not count', async () => {
    const folder = await signedFolder(other.privateKey);
    await expect(checkSignature(folder, trusted)).rejects.toMatchObject({
      code: 'UNTRUSTED_PACKAGE',
      message: expect.stringContaining(publicKeyText(other.publicKey)) as string,
    });
    expect(await checkSignature(folder, undefined)).toBe(publicKeyText(other.publicKey));
  });

  it.each([
    ['a changed file', (folder: string) => writeFile(join(folder, 'model.onnx'), 'Weights'), /covers model\.onnx with the SHA-256/],
    ['a file more', (folder: string) => writeFile(join(folder, 'vocabulary.txt'), 'a'), /does not cover vocabulary\.txt/],
    ['a file less', (folder: string) => rm(join(folder, 'slipway.json')), /covers slipway\.json, which is not there/],
    ['another file’s name', (folder: string) => writeFile(join(folder, '__proto__'), 'x'), /does not cover __proto__/],
  ])('does not fit %s, also where none is asked for', async (_what, change, message) => {
    const folder = await signedFolder();
    await change(folder);
    for (const keys of [trusted, undefined])
      await expect(checkSignature(folder, keys)).rejects.toMatchObject({ code: 'INVALID_SIGNATURE', message });
  });

  it('is refused when its own bytes say something else', async () => {
    const folder = await signedFolder();
    const path = join(folder, SIGNATURE_FILE);
    const text = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: text.length - 1 }), fc.integer({ min: 0, max: 7 }), async (at, bit) => {
        const changed = Buffer.from(text);
        changed[at]! ^= 1 << bit;
        await writeFile(path, changed);
        const signer = await checkSignature(folder, trusted).catch((error: { code: string }) => error.code);
        // A blank that became another blank says the same; everything else is refused.
        if (signer === publicKeyText(own.publicKey)) expect(JSON.parse(changed.toString())).toEqual(JSON.parse(text.toString()));
        else expect(signer).toMatch(/^(INVALID_SIGNATURE|UNTRUSTED_PACKAGE)$/);
      }),
    );
  });
});

describe('files of keys', () => {
  async function keyFiles(): Promise<(name: string) => string> {
    const folder = await temporaryFolder();
    const path = (name: string): string => join(folder, name);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = (key: KeyObject): string => key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }) as string;
    await writeFile(path('own'), pem(own.privateKey));
    await writeFile(path('own.pub'), pem(own.publicKey));
    await writeFile(path('both.pub'), `ours:\n${pem(own.publicKey)}theirs:\n${pem(other.publicKey)}`);
    await writeFile(path('other'), pem(other.privateKey));
    await writeFile(path('rsa'), pem(rsa.privateKey));
    await writeFile(path('rsa.pub'), pem(rsa.publicKey));
    await writeFile(path('text'), 'no key');
    return path;
  }

  it('hold one private key, or any number of public ones', async () => {
    const path = await keyFiles();
    expect(readSigningKey(path('own')).equals(own.privateKey)).toBe(true);
    expect([...readTrustedKeys(path('both.pub'))]).toEqual([publicKeyText(own.publicKey), publicKeyText(other.publicKey)]);
    expect(readSigningKeys({})).toEqual({ trustedKeys: undefined, signingKey: undefined });
  });

  it('are refused with their name when they hold something else', async () => {
    const path = await keyFiles();
    for (const name of ['rsa', 'text', 'none', 'own.pub']) expect(() => readSigningKey(path(name))).toThrow(KeyFileError);
    expect(() => readSigningKey(path('rsa'))).toThrow(/rsa: is a key of type rsa; it must be Ed25519/);
    expect(() => readTrustedKeys(path('rsa.pub'))).toThrow(/rsa\.pub: is a key of type rsa/);
    expect(() => readTrustedKeys(path('own'))).toThrow(/own: holds a private key/);
    expect(() => readTrustedKeys(path('text'))).toThrow(/text: holds no public key/);
    expect(() => readSigningKeys({ requireSignedBy: path('own.pub'), signWith: path('other') })).toThrow(
      /other: is not the private key of one of/,
    );
  });
});
