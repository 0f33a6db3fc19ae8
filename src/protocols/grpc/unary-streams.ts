import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type Metadata, status as STATUS, type StatusObject } from '@grpc/grpc-js';
import { createCancellation } from '../cancellation.ts';
import type { AnswerUnary, CallHead } from './handlers.ts';

/** A unary method: who answers it, and how its answer becomes bytes. */
export interface UnaryMethod {
  readonly answer: AnswerUnary;
  readonly serialize: (message: object) => Buffer;
}

/** A flag and the length of a message stand before it. */
const PREFIX_BYTES = 5;

const CONTENT = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const ENCODINGS = ['grpc-accept-encoding', 'identity,deflate,gzip', 'grpc-encoding', 'identity'];
const RESPONSE = [':status', '200', 'content-type', CONTENT['content-type'], ...ENCODINGS];
const WITH_TRAILERS = { waitForTrailers: true } as const;
const ONLY_TRAILERS = { endStream: true } as const;
const OK = { 'grpc-status': '0', 'grpc-message': 'OK' } as const;

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Node's timers take no more. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** The time of `grpc-timeout` in milliseconds; Infinity when it was not sent, NaN for what is no time. */
function timeoutOf(header: string | readonly string[] | undefined): number {
  if (header === undefined) return Infinity;
  const found = typeof header === 'string' ? TIMEOUT.exec(header) : null;
  return found === null ? Number.NaN : Number(found[1]) * UNIT_MS[found[2]!]!;
}

/** Pieces that are kept as they came; each costs some hundred bytes, however small it is. */
const MOST_PIECES = 16;

/** Gathers the one message of a call from the pieces in which it comes. */
class MessageReader {
  readonly #most: number;
  /** The bytes before the pieces, with room behind them; it grows by doubling. */
  #gathered: Buffer = Buffer.alloc(0);
  #gatheredLength = 0;
  #pieces: Buffer[] = [];
  #length = 0;
  /** With its prefix; NaN before that has come. */
  #size = Number.NaN;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  /** @returns why the call is refused, or nothing. */
  push(piece: Buffer, path: string): Partial<StatusObject> | undefined {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#pieces.length > MOST_PIECES) this.#gather();
    if (this.#length < PREFIX_BYTES) return undefined;
    if (Number.isNaN(this.#size)) {
      const start = this.#length === piece.length ? piece : this.#gather();
      const bytes = start.readUInt32BE(1);
      if (bytes > this.#most) {
        return { code: STATUS.RESOURCE_EXHAUSTED, details: `Received message larger than max (${bytes} vs ${this.#most})` };
      }
      this.#size = PREFIX_BYTES + bytes;
    }
    if (this.#length <= this.#size) return undefined;
    return { code: STATUS.UNIMPLEMENTED, details: `Received a second request message for the unary method ${path}` };
  }

  /** The message, once all of the call has come; undefined when there is none, or not all of it. */
  message(): Buffer | undefined {
    if (this.#length !== this.#size) return undefined;
    const isOnePiece = this.#pieces.length === 1 && this.#gatheredLength === 0;
    return (isOnePiece ? this.#pieces[0]! : this.#gather()).subarray(PREFIX_BYTES);
  }

  /** Forgets what has come: nobody will ask for it. */
  drop(): void {
    this.#pieces = [];
    this.#gathered = Buffer.alloc(0);
    this.#gatheredLength = 0;
  }

  /** Puts the pieces behind the bytes before them. */
  #gather(): Buffer {
    if (this.#gathered.length < this.#length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#gathered.length));
      this.#gathered.copy(larger, 0, 0, this.#gatheredLength);
      this.#gathered = larger;
    }
    for (const piece of this.#pieces) this.#gatheredLength += piece.copy(this.#gathered, this.#gatheredLength);
    this.#pieces = [];
    return this.#gathered.subarray(0, this.#length);
  }
}

/** The head of a call; a class, so that what no method asks for costs nothing. */
class StreamHead implements CallHead {
  readonly deadline: number | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, timeoutMs: number) {
    this.deadline = timeoutMs === Infinity ? undefined : performance.now() + timeoutMs;
    this.#stream = stream;
    this.#headers = headers;
  }

  get address(): string {
    return this.#stream.session?.socket.remoteAddress ?? '';
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return (typeof value === 'string' ? value : value?.join(',')) || undefined;
  }
}

function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  bytes[0] = 0; // not compressed
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

function serve(path: string, method: UnaryMethod, head: CallHead, timeoutMs: number, mostBytes: number, stream: ServerHttp2Stream): void {
  const { answer, serialize } = method;
  const cancellation = createCancellation();
  const reader = new MessageReader(mostBytes);
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  function isOver(): boolean {
    return ended || stream.destroyed || stream.closed;
  }

  function end(): void {
    ended = true;
    clearTimeout(timer);
  }

  function fail({ code, details = '', metadata }: Partial<StatusObject>): void {
    if (isOver()) return;
    end();
    reader.drop();
    const trailers = { ...CONTENT, 'grpc-status': String(code), 'grpc-message': encodeURI(details), ...metadata?.toHttp2Headers() };
    stream.respond(trailers, ONLY_TRAILERS);
    // What the client still sends is for nobody.
    stream.resume();
  }

  function succeed(message: object, trailer: Metadata | undefined): void {
    if (isOver()) return;
    const bytes = framed(Buffer.isBuffer(message) ? message : serialize(message));
    end();
    stream.once('wantTrailers', () => stream.sendTrailers(trailer === undefined ? OK : { ...OK, ...trailer.toHttp2Headers() }));
    stream.respond(RESPONSE, WITH_TRAILERS);
    stream.end(bytes);
  }

  stream.on('error', () => {}); // its end follows
  stream.on('data', (piece: Buffer) => {
    if (ended) return;
    const refusal = reader.push(piece, path);
    if (refusal !== undefined) fail(refusal);
  });
  stream.on('end', () => {
    if (isOver()) return;
    const request = reader.message();
    if (request === undefined)
      return fail({ code: STATUS.UNIMPLEMENTED, details: `Received no request message for the unary method ${path}` });
    void answer(request, head, cancellation, (failure, message, trailer) => {
      if (failure === null) succeed(message!, trailer);
      else fail(failure);
    });
  });
  stream.on('close', () => {
    if (ended) return;
    end();
    cancellation.abort();
  });
  if (timeoutMs <= MOST_TIMER_MS) {
    timer = setTimeout(() => {
      fail({ code: STATUS.DEADLINE_EXCEEDED, details: 'Deadline exceeded' });
      cancellation.abort();
    }, timeoutMs);
  }
}

/**
 * Serves unary calls straight from their HTTP/2 streams (gRPC over HTTP/2, PROTOCOL-HTTP2.md): of the processor time that a
 * call took through grpc-js, two fifths went into its interceptors, listeners and metadata.
 * @param methods by their paths.
 * @param mostBytes of a message; a larger one gets RESOURCE_EXHAUSTED.
 * @returns a function that takes a stream, or tells that it does not: of other methods and content types, of compressed messages
 *   and of a timeout that is none.
 */
export function createUnaryStreams(methods: ReadonlyMap<string, UnaryMethod>, mostBytes: number) {
  return (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean => {
    const path = headers[':path'];
    const method = typeof path === 'string' ? methods.get(path) : undefined;
    if (method === undefined || headers['content-type']?.startsWith('application/grpc') !== true) return false;
    const encoding = headers['grpc-encoding'];
    if (encoding !== undefined && encoding !== 'identity') return false;
    const timeoutMs = timeoutOf(headers['grpc-timeout']);
    if (Number.isNaN(timeoutMs)) return false;
    serve(path as string, method, new StreamHead(stream, headers, timeoutMs), timeoutMs, mostBytes, stream);
    return true;
  };
}
