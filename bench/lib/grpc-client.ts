import { connect } from 'node:net';
import { closedLoop, type LoadResult } from './closed-loop.ts';

export interface GrpcLoadOptions {
  readonly port: number;
  /** E.g. `/inference.GRPCInferenceService/ModelInfer`. */
  readonly path: string;
  /** The request message, encoded. */
  readonly message: Buffer;
  readonly connections: number;
  readonly durationMs: number;
}

/*
 * HTTP/2 frames (RFC 9113 §4.1, §6): length, type, flags and stream in nine bytes, then the payload. The client speaks
 * just enough of it for one call at a time, so that it costs little beside the server.
 */
const HEAD = 9;
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const MAX_FRAME = 16_384;
/** The answers of a run stay below this, so the client never has to open its window again. */
const WINDOW = 2 ** 30;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header that is not indexed, of a name in the static table of HPACK (RFC 7541 appendix A) or a new one. */
function header(name: number | string, value: string): Buffer {
  const text = (part: string): Buffer => Buffer.concat([Buffer.of(part.length), Buffer.from(part)]);
  if (typeof name === 'string') return Buffer.concat([Buffer.of(0), text(name), text(value)]);
  return Buffer.concat([name < 15 ? Buffer.of(name) : Buffer.of(15, name - 15), text(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(SETTINGS, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(WINDOW)])),
  frame(WINDOW_UPDATE, 0, 0, uint32(WINDOW)),
]);

/** The frames of one call; the stream's number is to be written into each. */
function callFrames(path: string, message: Buffer): Buffer[] {
  const fields = [Buffer.of(0x83, 0x86), header(4, path), header(1, 'localhost'), header(31, 'application/grpc'), header('te', 'trailers')];
  const body = Buffer.concat([Buffer.of(0), uint32(message.length), message]);
  const frames = [frame(HEADERS, END_HEADERS, 0, Buffer.concat(fields))];
  for (let at = 0; at < body.length; at += MAX_FRAME) {
    frames.push(frame(DATA, at + MAX_FRAME >= body.length ? END_STREAM : 0, 0, body.subarray(at, at + MAX_FRAME)));
  }
  return frames;
}

function runConnection(
  port: number,
  frames: readonly Buffer[],
  until: number,
  onAnswer: (outcome: string, ms: number) => void,
): Promise<void> {
  const request = Buffer.concat(frames);
  const heads: number[] = [];
  for (let at = 0; at < request.length; at += HEAD + request.readUIntBE(at, 3)) heads.push(at);
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received: Buffer = Buffer.alloc(0);
    let stream = -1;
    let sentAt = 0;
    let hasMessage = false;
    const sendNext = (): void => {
      stream += 2;
      hasMessage = false;
      // A copy, since the socket may keep what it could not send at once.
      const bytes = Buffer.from(request);
      for (const at of heads) bytes.writeUInt32BE(stream, at + 5);
      sentAt = performance.now();
      socket.write(bytes);
    };
    const onFrame = (type: number, flags: number, of: number, payload: Buffer): void => {
      if (type === SETTINGS && !(flags & ACK)) socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
      else if (type === PING && !(flags & ACK)) socket.write(frame(PING, ACK, 0, payload));
      else if (type === GOAWAY) socket.destroy(new Error('the server ended the connection'));
      if (of !== stream) return;
      if (type === DATA) hasMessage = true;
      if (!(flags & END_STREAM) || (type !== DATA && type !== HEADERS)) return;
      const now = performance.now();
      // A call that fails has trailers only.
      onAnswer(hasMessage ? 'OK' : 'failed', now - sentAt);
      if (now < until) sendNext();
      else socket.end(() => resolve());
    };
    socket.once('connect', () => {
      socket.write(PREFACE);
      sendNext();
    });
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      let at = 0;
      while (received.length - at >= HEAD) {
        const length = received.readUIntBE(at, 3);
        if (received.length - at < HEAD + length) break;
        onFrame(received[at + 3]!, received[at + 4]!, received.readUInt32BE(at + 5), received.subarray(at + HEAD, at + HEAD + length));
        at += HEAD + length;
      }
      received = received.subarray(at);
    });
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

/** Loads one method over several connections in a closed loop. The message must fit into the server's first window, 64 KiB. */
export function loadGrpc({ port, path, message, connections, durationMs }: GrpcLoadOptions): Promise<LoadResult> {
  const frames = callFrames(path, message);
  return closedLoop(connections, durationMs, (until, onAnswer) => runConnection(port, frames, until, onAnswer));
}
