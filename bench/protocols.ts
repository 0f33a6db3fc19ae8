/**
 * The same image through every protocol, as ratios within one run: one server, each protocol loaded in turn, medians of
 * the rounds. Usage: node bench/protocols.ts [rounds=5] [milliseconds=2000]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { LoadResult } from './lib/closed-loop.ts';
import { digitsBody, digitsImage, ROOT } from './lib/digits.ts';
import { loadGrpc } from './lib/grpc-client.ts';
import { load } from './lib/http-client.ts';
import { startServer, untilReady } from './lib/processes.ts';
import { tensorFlowGrpc, tensorFlowRest } from './lib/tensorflow-loads.ts';
import { median, quantile } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 5);
const durationMs = Number(process.argv[3] ?? 2_000);
const state = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
const ports = ['--port', '0', '--grpc-port', '0'];
const server = await startServer([
  '--max-semi-space-size=8',
  join(ROOT, 'bin/slipway.js'),
  '--models',
  join(ROOT, 'models'),
  '--state',
  state,
  ...ports,
]);

const image = digitsImage();
const SHAPE = [1, 1, 28, 28];
const tensor = { name: 'image', datatype: 'FP32', shape: SHAPE };

type Load = (connections: number, ms: number) => Promise<LoadResult>;

function http(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Load {
  return (connections, ms) => load({ port: server.port, path, headers, body, connections, durationMs: ms });
}

function v2Binary(): Load {
  const size = image.byteLength;
  const json = Buffer.from(
    JSON.stringify({ parameters: { binary_data_output: true }, inputs: [{ ...tensor, parameters: { binary_data_size: size } }] }),
  );
  const body = Buffer.concat([json, Buffer.from(image.buffer)]);
  return http(
    '/v2/models/digits/infer',
    { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(json.length) },
    body,
  );
}

function v2Json(): Load {
  const { inputs } = JSON.parse(digitsBody().toString()) as { inputs: unknown };
  return http(
    '/v2/models/digits/infer',
    { 'content-type': 'application/json' },
    Buffer.from(JSON.stringify({ inputs: [{ ...tensor, data: inputs }] })),
  );
}

async function v2Grpc(): Promise<Load> {
  const definition = loadSync('inference.proto', { keepCase: true, includeDirs: [join(ROOT, 'proto')] });
  const request = definition['inference.ModelInferRequest'] as MessageTypeDefinition<object, object>;
  const message = request.serialize({ model_name: 'digits', inputs: [tensor], raw_input_contents: [Buffer.from(image.buffer)] });
  const port = await server.grpcPort;
  const path = '/inference.GRPCInferenceService/ModelInfer';
  return (connections, ms) => loadGrpc({ port, path, message, connections, durationMs: ms });
}

try {
  await untilReady(server.port);
  const protocols: Record<string, Load> = {
    'native JSON': http('/predict', { 'content-type': 'application/json' }, digitsBody()),
    'V2 REST JSON': v2Json(),
    'V2 REST binary': v2Binary(),
    'V2 gRPC': await v2Grpc(),
    'TFS REST rows': tensorFlowRest(server.port, 'row'),
    'TFS REST columns': tensorFlowRest(server.port, 'column'),
    'TFS gRPC': tensorFlowGrpc(await server.grpcPort),
  };
  for (const connections of [8, 32]) {
    const results: Record<string, LoadResult[]> = {};
    for (let round = -1; round < rounds; round += 1) {
      for (const [name, run] of Object.entries(protocols)) {
        const result = await run(connections, round === -1 ? 1_000 : durationMs);
        const failed = [...result.outcomes.keys()].filter((outcome) => outcome !== 200 && outcome !== 'OK');
        if (failed.length > 0) throw new Error(`${name} answered ${failed.join(', ')}`);
        if (round >= 0) (results[name] ??= []).push(result);
      }
    }
    const ratio = (name: string, to: string): string =>
      median(results[name]!.map((result, round) => result.requestsPerSecond / results[to]![round]!.requestsPerSecond)).toFixed(2);
    console.log(`${connections} connections`);
    for (const [name, each] of Object.entries(results)) {
      const rps = median(each.map(({ requestsPerSecond }) => requestsPerSecond)).toFixed(0);
      const p50 = median(each.map(({ latencies }) => quantile(latencies, 0.5))).toFixed(2);
      console.log(`  ${name.padEnd(18)}${rps.padStart(7)} requests/s, p50 ${p50} ms, ${ratio(name, 'native JSON')}x native JSON`);
    }
    console.log(
      `  V2 REST binary is ${ratio('V2 REST binary', 'V2 REST JSON')}x V2 REST JSON; V2 gRPC is ${ratio('V2 gRPC', 'V2 REST binary')}x V2 REST binary`,
    );
  }
} finally {
  await server.stop();
  rmSync(state, { recursive: true, force: true });
}
