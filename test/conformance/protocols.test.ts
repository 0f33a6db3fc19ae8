import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runningServer } from '../helpers/running-server.ts';
import { checkGolden } from './protocols/check-case.ts';
import { fuzzAlike, fuzzMalformed } from './protocols/fuzz.ts';
import { GOLDEN_CASES } from './protocols/golden-cases.ts';
import { openMalformed } from './protocols/malformed/open.ts';
import { CONFORMANCE_MODELS } from './protocols/models.ts';
import type { Target } from './protocols/route.ts';
import { openRoutes } from './protocols/routes/routes.ts';

async function conformanceServer(models: readonly string[] = CONFORMANCE_MODELS): Promise<Required<Target>> {
  const { server } = await runningServer(models);
  const [http = '', grpc = ''] = server.addresses;
  return { http, grpc };
}

const GIGABYTE = 2 ** 30;

/** The predict paths of all HTTP protocols, each with the media type of its body. */
const PREDICT_PATHS = [
  ['/predict', 'application/json'],
  ['/v2/models/times-three/infer', 'application/octet-stream'],
  ['/v1/models/times-three:predict', 'application/json'],
  ['/invocations', 'text/csv'],
] as const;

async function openSocket(address: string, text: string): Promise<Socket> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

function head([path, type]: (typeof PREDICT_PATHS)[number], length: number): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`;
}

/** The gRPC status of a call whose bytes are sent as they are. */
async function grpcStatus(address: string, path: string, bytes: Buffer): Promise<number> {
  const session = connectHttp2(`http://${address}`);
  onTestFinished(() => session.destroy());
  const call = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
  let status: unknown;
  call.on('response', (headers) => (status ??= headers['grpc-status']));
  call.on('trailers', (trailers) => (status ??= trailers['grpc-status']));
  call.on('error', () => undefined);
  call.resume();
  call.end(bytes);
  await once(call, 'close');
  return Number(status);
}

describe('every protocol', () => {
  // The same as `node test/conformance/run.ts`, with fewer random cases.
  it('answers golden and random requests as every other', async () => {
    const { routes, close } = openRoutes(await conformanceServer());
    onTestFinished(close);
    const failures: string[] = [];
    for (const route of routes) {
      let sent = 0;
      for (const golden of GOLDEN_CASES) {
        const found = await checkGolden(route, golden);
        if (found === undefined) continue;
        sent += 1;
        failures.push(...found.map((each) => `${route.name}: ${golden.name}: ${each}`));
      }
      expect(sent, route.name).toBeGreaterThan(20);
    }
    expect(failures).toEqual([]);
    const random = await fuzzAlike(routes, { seed: 1, cases: 400 });
    expect(random.failures).toEqual([]);
    expect([...random.requests.keys()].toSorted()).toEqual(routes.map(({ name }) => name).toSorted());
  });

  it('answers malformed requests by an error of the client', async () => {
    const { sources, close } = openMalformed(
      await conformanceServer(['times-three', 'multi', 'fixed', 'scalar', 'echo-bytes', 'echo-int64']),
    );
    onTestFinished(close);
    for (const source of sources) {
      const { failures, cases, requests } = await fuzzMalformed(source, { seed: 1, cases: 1_500 });
      expect(failures).toEqual([]);
      expect(cases).toBe(1_500);
      // Some of them turn out to be in order, and the others are not all wrong alike.
      expect(requests.size, source.protocol).toBeGreaterThanOrEqual(3);
    }
  });

  it('refuses a gigabyte by its announcement, over HTTP and gRPC', async () => {
    const { http, grpc } = await conformanceServer(['times-three']);
    for (const path of PREDICT_PATHS) {
      const [answer] = (await once(await openSocket(http, head(path, GIGABYTE)), 'data')) as [Buffer];
      expect(answer.toString(), path[0]).toMatch(/^HTTP\/1\.1 413 /);
    }
    const declared = Buffer.alloc(5);
    declared.writeUInt32BE(GIGABYTE, 1);
    for (const path of ['/inference.GRPCInferenceService/ModelInfer', '/tensorflow.serving.PredictionService/Predict']) {
      expect(await grpcStatus(grpc, path, declared), path).toBe(8);
    }
  });

  it('answers a gRPC message that is cut short', async () => {
    const { grpc } = await conformanceServer(['times-three']);
    const cut = Buffer.concat([Buffer.of(0, 0, 0, 0, 100), Buffer.alloc(10)]);
    for (const path of ['/inference.GRPCInferenceService/ModelInfer', '/tensorflow.serving.PredictionService/Predict']) {
      for (const bytes of [cut, cut.subarray(0, 3), Buffer.alloc(0)]) {
        const status = await grpcStatus(grpc, path, bytes);
        // gRPC itself answers these; its library has INTERNAL or UNIMPLEMENTED for them.
        expect(status, `${path} ${bytes.length} bytes`).toBeGreaterThan(0);
      }
    }
  });

  it('serves others while bodies come slowly or not at all', async () => {
    const { http } = await conformanceServer(['times-three']);
    const slow: Socket[] = [];
    for (const path of PREDICT_PATHS) {
      for (let index = 0; index < 50; index += 1) slow.push(await openSocket(http, `${head(path, 1_000)}{"in`));
    }
    const ask = async (): Promise<unknown> => {
      const answer = await fetch(`${http}/v1/models/times-three:predict`, { method: 'POST', body: '{"instances":[1]}' });
      return answer.json();
    };
    expect(await ask()).toEqual({ predictions: [3] });
    for (const socket of slow) socket.destroy();
    expect(await ask()).toEqual({ predictions: [3] });
  });
});
