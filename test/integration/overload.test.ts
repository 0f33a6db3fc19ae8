import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { runningServer } from '../helpers/running-server.ts';

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 60_000 });

const MODEL = 'times-three';
const CONNECTIONS = 64;
const MOST_TRIES = 100;

const ROUTES: readonly [path: string, body: object, error: RegExp][] = [
  ['/predict', { model: MODEL, inputs: [1] }, /"code":"SERVER_BUSY"/],
  [`/models/${MODEL}/versions/1/predict?model=${MODEL}`, { inputs: [1] }, /"code":"SERVER_BUSY"/],
  [`/v2/models/${MODEL}/infer`, { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }, /^\{"error":"The server has more/],
  [`/v1/models/${MODEL}:predict`, { instances: [1] }, /^\{"error":"The server has more/],
  ['/invocations', { instances: [1] }, /"The server has more/],
];

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

async function open(address: string): Promise<Socket> {
  const socket = connect({ port: Number(new URL(address).port), host: '127.0.0.1', noDelay: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends a request and reads its answer; the connection stays open. */
async function ask(socket: Socket, path: string, body: string): Promise<Answer> {
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    const end = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
    if (end === -1 || text.length < end + 4 + length) continue;
    return { status: Number(text.slice(9, 12)), head: text.slice(0, end).toLowerCase(), body: text.slice(end + 4) };
  }
  throw new Error(`the connection ended after: ${text}`);
}

it.each(ROUTES)('a busy server refuses %s on its headers, and the connection goes on', async (path, body, error) => {
  // So small a share that any two requests at once are too many.
  const { address } = await runningServer([MODEL], { scheduler: { busyShare: 1e-9 } });
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(address)));
  let refused: Answer | undefined;
  for (let tries = 0; tries < MOST_TRIES && refused === undefined; tries += 1) {
    const answers = await Promise.all(sockets.map((socket) => ask(socket, path, JSON.stringify(body))));
    for (const { status } of answers) expect([200, 503]).toContain(status);
    refused = answers.find(({ status }) => status === 503);
  }
  expect(refused!.body).toMatch(error);
  expect(refused!.head).toMatch(/\r\nretry-after: [1-9]/);
  expect(refused!.head).toMatch(/\r\nx-request-id: \S/);
  expect(refused!.head).not.toContain('connection: close');
  // One at a time, it answers again.
  let answer = await ask(sockets[0]!, path, JSON.stringify(body));
  for (let tries = 0; tries < MOST_TRIES && answer.status !== 200; tries += 1) answer = await ask(sockets[0]!, path, JSON.stringify(body));
  expect(answer.status).toBe(200);
  expect(await (await fetch(`${address}/metrics`)).text()).toMatch(/SERVER_BUSY"\} [1-9]/);
});

it('what is no predict request is answered however busy the server is', async () => {
  const { address } = await runningServer([MODEL], { scheduler: { busyShare: 1e-9 } });
  const answers = await Promise.all(Array.from({ length: 200 }, () => fetch(`${address}/models/${MODEL}/load`, { method: 'POST' })));
  for (const { status } of answers) expect(status).toBe(200);
});

it('a request whose time is over is not decoded', async () => {
  const { address } = await runningServer([MODEL]);
  const headers = { 'content-type': 'application/json', 'x-request-timeout-ms': '0.000001' };
  const answer = await fetch(`${address}/predict`, { method: 'POST', headers, body: '{"no JSON' });
  expect(answer.status).toBe(504);
  expect(await answer.text()).toContain('DEADLINE_EXCEEDED');
});
