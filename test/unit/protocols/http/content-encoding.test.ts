import { randomBytes } from 'node:crypto';
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { chooseEncoding, compressAnswer, decodeBody } from '../../../../src/protocols/http/content-encoding.ts';

const TEXT = Buffer.from('a'.repeat(5_000));

describe('the Content-Encoding of a body', () => {
  it('is undone', async () => {
    for (const [encoding, body] of [
      ['gzip', gzipSync(TEXT)],
      ['GZIP ', gzipSync(TEXT)],
      ['deflate', deflateSync(TEXT)],
      ['deflate', deflateRawSync(TEXT)],
      ['identity', TEXT],
      [undefined, TEXT],
    ] as const) {
      expect(await decodeBody(body, encoding, 5_000)).toEqual(TEXT);
    }
  });

  it('holds to the limit after decompression', async () => {
    await expect(decodeBody(gzipSync(TEXT), 'gzip', 4_999)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    await expect(decodeBody(deflateSync(TEXT), 'deflate', 4_999)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  it('is refused when it is not known, or the body is damaged or cut short', async () => {
    for (const encoding of ['br', 'gzip, gzip', '__proto__', 'constructor']) {
      await expect(decodeBody(TEXT, encoding, 9_999)).rejects.toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' });
    }
    const noise = randomBytes(5_000);
    for (const body of [TEXT, Buffer.alloc(0), gzipSync(noise).subarray(0, 2_000)]) {
      await expect(decodeBody(body, 'gzip', 9_999)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    }
  });
});

describe('the Content-Encoding of an answer', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['br', undefined],
    ['gzip', 'gzip'],
    ['gzip, deflate', 'gzip'],
    ['deflate', 'deflate'],
    ['gzip;q=0.5, deflate;q=0.8', 'deflate'],
    ['gzip;q=0', undefined],
    ['identity, gzip;q=0.5', undefined],
    ['gzip;q=abc', undefined],
    ['__proto__', undefined],
  ])('for Accept-Encoding %j is %j', (accepted, chosen) => {
    expect(chooseEncoding(accepted)).toBe(chosen);
  });

  it('compresses what is large enough to shrink', async () => {
    const answer = { status: 200, headers: { a: 'b' }, payload: TEXT };
    const zipped = await compressAnswer(answer, 'gzip');
    expect(zipped.headers).toEqual({ a: 'b', 'content-encoding': 'gzip', vary: 'accept-encoding' });
    expect(gunzipSync(zipped.payload as Buffer)).toEqual(TEXT);
    expect(inflateSync((await compressAnswer(answer, 'deflate')).payload as Buffer)).toEqual(TEXT);
    const small = { status: 200, payload: 'small' };
    expect(await compressAnswer(small, 'gzip')).toBe(small);
    expect(await compressAnswer(answer, 'br')).toBe(answer);
  });
});
