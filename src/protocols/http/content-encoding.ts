import { promisify } from 'node:util';
import { constants, deflate, gunzip, gzip, inflate, inflateRaw } from 'node:zlib';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { RouteAnswer } from './route.ts';

/** Smaller answers would hardly shrink. */
const COMPRESS_FROM_BYTES = 1_024;
/** Output is gathered in pieces of this size; Node's default of 16 KiB makes very many of a large body. */
const CHUNK_BYTES = 256 * 1024;
/** Tensors hardly shrink more at a higher level, which takes several times as long. */
const LEVEL = constants.Z_BEST_SPEED;

type Inflate = (bytes: Buffer, options: { readonly maxOutputLength: number; readonly chunkSize: number }) => Promise<Buffer>;
type Deflate = (bytes: Buffer | string, options: { readonly level: number }) => Promise<Buffer>;

const inflateZlib: Inflate = promisify(inflate);
const inflateBare: Inflate = promisify(inflateRaw);

/** `deflate` is the zlib format (RFC 9110 §8.4.1.2), but some clients send it bare; a zlib header says 8 for its method. */
const inflateEither: Inflate = (bytes, options) => ((bytes[0] ?? 0) % 16 === 8 ? inflateZlib(bytes, options) : inflateBare(bytes, options));

const DECODERS: Readonly<Record<string, Inflate>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: inflateEither,
};

const ENCODERS: Readonly<Record<string, Deflate>> = { gzip: promisify(gzip), deflate: promisify(deflate) };

/**
 * Undoes the Content-Encoding of a body.
 * @param maxBytes largest body once it is decoded; a larger one is refused while it inflates, without its memory.
 * @throws SlipwayError UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, INVALID_REQUEST when the body is damaged.
 */
export function decodeBody(body: Buffer, contentEncoding: string | undefined, maxBytes: number): Buffer | Promise<Buffer> {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  return encoding === '' || encoding === 'identity' ? body : inflateBody(body, encoding, maxBytes);
}

async function inflateBody(body: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  const decode = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  if (decode === undefined) {
    throw new SlipwayError(
      'UNSUPPORTED_MEDIA_TYPE',
      `The Content-Encoding ${encoding} is not known; send one of: gzip, deflate, identity.`,
    );
  }
  try {
    return await decode(body, { maxOutputLength: maxBytes, chunkSize: Math.min(CHUNK_BYTES, Math.max(1_024, maxBytes)) });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new SlipwayError('BODY_TOO_LARGE', `The body has more than ${maxBytes} bytes once it is decompressed.`, { cause: error });
    }
    throw new SlipwayError('INVALID_REQUEST', `The body is not valid ${encoding}: ${messageOf(error)}.`, { cause: error });
  }
}

/** The coding that a client prefers of those that can be made; undefined for none. RFC 9110 §12.5.3. */
export function chooseEncoding(acceptEncoding: string | undefined): string | undefined {
  if (acceptEncoding === undefined) return undefined;
  let best: string | undefined;
  let bestQuality = 0;
  for (const entry of acceptEncoding.split(',')) {
    const [coding = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    if (!(quality > bestQuality) || !(coding === 'identity' || Object.hasOwn(ENCODERS, coding))) continue;
    best = coding;
    bestQuality = quality;
  }
  return best === 'identity' ? undefined : best;
}

/** Compresses an answer if its client takes that and it is large enough. */
export function compressAnswer(answer: RouteAnswer, acceptEncoding: string | undefined): RouteAnswer | Promise<RouteAnswer> {
  const { payload } = answer;
  const encoding = chooseEncoding(acceptEncoding);
  if (encoding === undefined || payload === undefined || !(typeof payload === 'string' || Buffer.isBuffer(payload))) return answer;
  if (payload.length < COMPRESS_FROM_BYTES) return answer;
  return ENCODERS[encoding]!(payload, { level: LEVEL }).then((compressed) => ({
    ...answer,
    headers: { ...answer.headers, 'content-encoding': encoding, vary: 'accept-encoding' },
    payload: compressed,
  }));
}
