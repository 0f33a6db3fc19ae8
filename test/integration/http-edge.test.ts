import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runningServer } from '../helpers/running-server.ts';

/** More than the system holds between a client and a server that does not read. */
const MANY_BYTES = 24 * 1024 * 1024;

async function open(address: string): Promise<Socket> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** The lines of a request, with the blank one behind them. */
function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\nhost: localhost\r\n\r\n`;
}

/** Writes all of a body before it reads anything of the answer, as blocking clients do. */
async function sendWhole(socket: Socket, requestHead: string, chunked: boolean): Promise<void> {
  socket.write(requestHead);
  const piece = Buffer.alloc(1024 * 1024);
  for (let sent = 0; sent < MANY_BYTES; sent += piece.length) {
    const ready = chunked
      ? [socket.write(`${piece.length.toString(16)}\r\n`), socket.write(piece), socket.write('\r\n')].every(Boolean)
      : socket.write(piece);
    if (!ready) await once(socket, 'drain');
  }
  if (chunked) socket.write('0\r\n\r\n');
}

/** Reads until `pattern` is there; fails when the connection ends first. */
async function readUntil(socket: Socket, pattern: RegExp): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += (chunk as Buffer).toString('latin1');
    if (pattern.test(text)) return text;
  }
  throw new Error(`the connection ended after: ${text}`);
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += (chunk as Buffer).toString('latin1');
  return text;
}

describe('a body that is refused before it was read', () => {
  const LENGTH = `content-length: ${MANY_BYTES}`;
  const CHUNKED = 'transfer-encoding: chunked';
  const cases: [what: string, lines: string[], status: number, code: string][] = [
    ['a body over its limit', ['POST /predict HTTP/1.1', 'content-type: application/json', LENGTH], 413, 'BODY_TOO_LARGE'],
    [
      'a body over its limit without a length',
      ['POST /predict HTTP/1.1', 'content-type: application/json', CHUNKED],
      413,
      'BODY_TOO_LARGE',
    ],
    [
      'the same of a client that wants the connection closed',
      ['POST /predict HTTP/1.1', 'connection: close', CHUNKED],
      413,
      'BODY_TOO_LARGE',
    ],
    ['a type that is not read', ['POST /models/x/versions HTTP/1.1', 'content-type: text/plain', CHUNKED], 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['no route', ['POST /nowhere HTTP/1.1', LENGTH], 404, 'ROUTE_NOT_FOUND'],
    ['a bad name', ['POST /models/.x/versions HTTP/1.1', 'content-type: application/gzip', CHUNKED], 400, 'INVALID_REQUEST'],
    [
      'zeros in place of an archive',
      ['POST /models/x/versions HTTP/1.1', 'content-type: application/gzip', CHUNKED],
      400,
      'INVALID_ARCHIVE',
    ],
    ['a model over its limit', ['POST /models/x/versions HTTP/1.1', 'content-type: application/onnx', CHUNKED], 413, 'BODY_TOO_LARGE'],
  ];

  it.each(cases)('is answered to a client that sends first and reads then: %s', async (_what, lines, status, code) => {
    const { address } = await runningServer([], { limits: { maxBodyBytes: 1_000_000, maxUploadBytes: 1_000_000 } });
    const socket = await open(address);
    await sendWhole(socket, head(...lines), lines.includes(CHUNKED));
    const answer = await readUntil(socket, /"requestId"/);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain(code);
    if (lines.includes('connection: close')) await readAll(socket);
    else {
      // The connection can be used on.
      socket.write(head('GET /livez HTTP/1.1'));
      expect(await readUntil(socket, /live/)).toMatch(/^HTTP\/1\.1 200 /);
    }
  });

  it('does not hold up the end of the server', async () => {
    const { address, server } = await runningServer([]);
    const socket = await open(address);
    socket.on('error', () => {});
    socket.write(head('POST /nowhere HTTP/1.1', 'content-length: 1000'));
    await readUntil(socket, /ROUTE_NOT_FOUND/);
    const closed = once(socket, 'close');
    await server.stop();
    socket.resume();
    await closed;
  });
});

describe('a client that asks before it sends', () => {
  it('is told to go on, or why not', async () => {
    const { address } = await runningServer(['times-three'], { limits: { maxBodyBytes: 1_000 } });
    const lines = ['POST /models/times-three/predict HTTP/1.1', 'content-type: application/json', 'expect: 100-continue'];
    const allowed = await open(address);
    allowed.write(head(...lines, 'content-length: 14'));
    expect(await readUntil(allowed, /\r\n\r\n/)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    allowed.write('{"inputs":[1]}');
    expect(await readUntil(allowed, /outputs/)).toMatch(/^HTTP\/1\.1 200 /);

    const refused = await open(address);
    refused.write(head(...lines, 'content-length: 1001'));
    const answer = await readAll(refused);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/^connection: close\r$/im);
    expect(answer).toContain('BODY_TOO_LARGE');
  });
});

describe('what is no HTTP', () => {
  it.each([
    ['text', 'hello\r\n\r\n', /not valid HTTP/],
    ['a length that is no number', head('POST /predict HTTP/1.1', 'content-length: many'), /not valid HTTP: .*Content-Length/],
    ['headers without end', `GET /livez HTTP/1.1\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`, /more than \d+ bytes/],
  ])('is refused in the shape of every error: %s', async (_what, request, message) => {
    const { address } = await runningServer([]);
    const socket = await open(address);
    socket.write(request);
    const [answerHead, body] = (await readAll(socket)).split('\r\n\r\n') as [string, string];
    expect(answerHead).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    const { error } = JSON.parse(body) as { error: { code: string; message: string; requestId: string } };
    expect(error.code).toBe('INVALID_REQUEST');
    expect(error.message).toMatch(message);
    expect(answerHead).toContain(`x-request-id: ${error.requestId}`);
  });
});

describe('a method that no route has', () => {
  it.each(['QUERY', 'PROPFIND', 'TRACE', 'OPTIONS'])('is refused by name: %s', async (method) => {
    const { address } = await runningServer([]);
    for (const [path, status] of [
      ['/livez', 405],
      ['/predict', 405],
      ['/v2/health/live', 405],
      ['/v1/models/x', 400],
      ['/nowhere', 404],
    ] as const) {
      for (const length of ['', '\r\ncontent-length: 2']) {
        const socket = await open(address);
        socket.write(head(`${method} ${path} HTTP/1.1`, `connection: close${length}`));
        if (length !== '') socket.write('{}');
        expect(await readAll(socket), `${method} ${path}`).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      }
    }
  });
});

describe('a connection that is open when the server stops', () => {
  it('is answered once more and told that it ends', async () => {
    const { address, server } = await runningServer(['times-three'], { shutdown: { unreadyMs: 500 } });
    const socket = await open(address);
    const ask = (): boolean => socket.write(head('POST /models/times-three/predict HTTP/1.1', 'content-length: 14') + '{"inputs":[1]}');
    ask();
    expect(await readUntil(socket, /outputs/)).not.toMatch(/^connection: close\r$/im);
    const stopped = server.stop();
    ask();
    const last = await readAll(socket);
    expect(last).toMatch(/^HTTP\/1\.1 200 /);
    expect(last).toMatch(/^connection: close\r$/im);
    expect(last).toContain('{"y":[3]}');
    await stopped;
  });
});
