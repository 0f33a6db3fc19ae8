import { once } from 'node:events';
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runningServer } from '../helpers/running-server.ts';

const PATH = '/inference.GRPCInferenceService/ModelInfer';
const HEADERS = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };

const definition = loadSync('inference.proto', { keepCase: true, longs: String, bytes: Buffer, includeDirs: ['proto'] });
const requestType = definition['inference.ModelInferRequest'] as MessageTypeDefinition<object, object>;
const responseType = definition['inference.ModelInferResponse'] as MessageTypeDefinition<object, object>;

const MESSAGE = requestType.serialize({
  model_name: 'times-three',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
  raw_input_contents: [Buffer.from(Float32Array.of(1, -2).buffer)],
});
const ANSWER = { model_name: 'times-three', raw_output_contents: [Buffer.from(Float32Array.of(3, -6).buffer)] };

function framed(message: Buffer, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

interface Answer {
  readonly head: IncomingHttpHeaders;
  /** Of the trailers, or of a head that is all there is. */
  readonly status: number;
  readonly message: string;
  readonly answer: object | undefined;
}

async function sessionOf(settings?: Parameters<typeof runningServer>[1]): Promise<ClientHttp2Session> {
  const { server } = await runningServer(['times-three'], settings);
  const session = connect(`http://${server.addresses.find((address) => !address.startsWith('http'))!}`);
  onTestFinished(() => session.destroy());
  return session;
}

/** Sends a call in pieces, each in a DATA frame of its own; ends it unless `open`. */
async function call(session: ClientHttp2Session, pieces: readonly Buffer[], headers = {}, { open = false } = {}): Promise<Answer> {
  const stream = session.request({ ...HEADERS, ...headers });
  const chunks: Buffer[] = [];
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  stream.on('response', (received) => (head = received));
  stream.on('trailers', (received) => (trailers = received));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const piece of pieces) stream.write(piece);
  if (!open) stream.end();
  await once(stream, 'end');
  if (open) stream.close();
  const { 'grpc-status': code, 'grpc-message': message } = trailers ?? head;
  const body = Buffer.concat(chunks);
  return {
    head,
    status: Number(code),
    message: decodeURI(String(message)),
    answer: body.length === 0 ? undefined : responseType.deserialize(body.subarray(5)),
  };
}

describe('a unary call', () => {
  it('is answered from a message that comes in pieces, at once or byte by byte', async () => {
    const session = await sessionOf();
    const bytes = framed(MESSAGE);
    const one = await call(session, [bytes]);
    expect(one).toMatchObject({ status: status.OK, message: 'OK', answer: ANSWER });
    expect(one.head).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-accept-encoding': 'identity,deflate,gzip',
    });
    for (const pieces of [[bytes.subarray(0, 3), bytes.subarray(3)], Array.from(bytes, (byte) => Buffer.of(byte))]) {
      expect(await call(session, pieces)).toMatchObject({ status: status.OK, answer: ANSWER });
    }
  });

  it('is refused without a message, with one that is cut short and with two', async () => {
    const session = await sessionOf();
    const bytes = framed(MESSAGE);
    for (const pieces of [[], [bytes.subarray(0, 4)], [bytes.subarray(0, -1)], [Buffer.concat([bytes, bytes])], [bytes, bytes]]) {
      expect(await call(session, pieces)).toMatchObject({ status: status.UNIMPLEMENTED, answer: undefined });
    }
    expect((await call(session, [framed(Buffer.alloc(0))])).status).toBe(status.INVALID_ARGUMENT);
  });

  it('is refused as soon as its message says that it is too large', async () => {
    const session = await sessionOf({ limits: { maxBodyBytes: 2_000 } });
    const prefix = framed(Buffer.alloc(2_001)).subarray(0, 5);
    const refused = await call(session, [prefix], {}, { open: true });
    expect(refused).toMatchObject({ status: status.RESOURCE_EXHAUSTED, message: 'Received message larger than max (2001 vs 2000)' });
    expect((await call(session, [framed(MESSAGE)])).status).toBe(status.OK);
  });

  it('may be compressed, but by nothing unknown', async () => {
    const session = await sessionOf();
    const compressed = framed(gzipSync(MESSAGE), 1);
    expect(await call(session, [compressed], { 'grpc-encoding': 'gzip' })).toMatchObject({ status: status.OK, answer: ANSWER });
    expect((await call(session, [compressed], { 'grpc-encoding': 'br' })).status).toBe(status.UNIMPLEMENTED);
    expect(await call(session, [framed(MESSAGE)], { 'grpc-encoding': 'identity' })).toMatchObject({ status: status.OK });
  });

  it('ends with its time, also when its message never comes', async () => {
    const session = await sessionOf();
    expect(await call(session, [framed(MESSAGE)], { 'grpc-timeout': '1H' })).toMatchObject({ status: status.OK, answer: ANSWER });
    expect(await call(session, [framed(MESSAGE)], { 'grpc-timeout': '99999999H' })).toMatchObject({ status: status.OK });
    const late = await call(session, [framed(MESSAGE).subarray(0, 9)], { 'grpc-timeout': '20m' }, { open: true });
    expect(late).toMatchObject({ status: status.DEADLINE_EXCEEDED, answer: undefined });
    expect((await call(session, [framed(MESSAGE)], { 'grpc-timeout': 'soon' })).status).toBe(status.INTERNAL);
  });

  it('of another content type is none, and of an unknown method is not there', async () => {
    const session = await sessionOf();
    expect((await call(session, [framed(MESSAGE)], { 'content-type': 'application/json' })).head[':status']).toBe(415);
    const unknown = await call(session, [framed(MESSAGE)], { ':path': '/inference.GRPCInferenceService/Nothing' });
    expect(unknown.status).toBe(status.UNIMPLEMENTED);
  });

  it('that its client cancels leaves the connection to the others', async () => {
    const session = await sessionOf();
    const gone = session.request({ ...HEADERS });
    gone.write(framed(MESSAGE).subarray(0, 20));
    gone.close();
    await once(gone, 'close');
    expect(await call(session, [framed(MESSAGE)])).toMatchObject({ status: status.OK, answer: ANSWER });
  });
});
