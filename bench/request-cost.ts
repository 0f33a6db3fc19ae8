/**
 * Processor time that one request takes in each process, by protocol: the gateway, its runner and this client, which share the
 * machine. Usage: node bench/request-cost.ts [milliseconds=3000] [connections=32] [name of a load, e.g. "V2 gRPC"]
 */
import { join } from 'node:path';
import { bareBinary, expectSuccess, type Load, nativeJson, v2Binary, v2Grpc, v2Json } from './lib/digits-loads.ts';
import { DIGITS_ONNX, ROOT } from './lib/digits.ts';
import { descendantsOf, processorMs, startServer, startSlipway } from './lib/processes.ts';
import { tensorFlowGrpc, tensorFlowRest } from './lib/tensorflow-loads.ts';

const durationMs = Number(process.argv[2] ?? 3_000);
const connections = Number(process.argv[3] ?? 32);
const only = process.argv[4];

const baseline = await startServer([join(ROOT, 'bench/baseline-server.ts'), DIGITS_ONNX]);
const slipway = await startSlipway(['--models', join(ROOT, 'models')]);

async function costOf(name: string, run: Load, gateway: number): Promise<void> {
  if (only !== undefined && only !== name) return;
  const runners = descendantsOf(gateway);
  expectSuccess(name, await run(connections, durationMs / 3));
  const before = [gateway, ...runners].map(processorMs);
  const own = process.cpuUsage();
  const result = await run(connections, durationMs);
  expectSuccess(name, result);
  const requests = result.latencies.length;
  const [ofGateway = 0, ...ofRunners] = [gateway, ...runners].map((pid, at) => ((processorMs(pid) - before[at]!) * 1_000) / requests);
  const used = process.cpuUsage(own);
  const ofRunner = ofRunners.reduce((sum, us) => sum + us, 0);
  const ofClient = (used.user + used.system) / requests;
  console.log(
    `${name.padEnd(16)}${result.requestsPerSecond.toFixed(0).padStart(7)} requests/s; µs of a request: gateway ${ofGateway.toFixed(1)}, ` +
      `runner ${ofRunner.toFixed(1)}, client ${ofClient.toFixed(1)}, in all ${(ofGateway + ofRunner + ofClient).toFixed(1)}`,
  );
}

try {
  await costOf('bare JSON', nativeJson(baseline.port), baseline.pid);
  await costOf('bare binary', bareBinary(baseline.port), baseline.pid);
  await costOf('native JSON', nativeJson(slipway.port), slipway.pid);
  await costOf('V2 REST JSON', v2Json(slipway.port), slipway.pid);
  await costOf('V2 REST binary', v2Binary(slipway.port), slipway.pid);
  await costOf('V2 gRPC', v2Grpc(await slipway.grpcPort), slipway.pid);
  await costOf('TFS REST', tensorFlowRest(slipway.port, 'row'), slipway.pid);
  await costOf('TFS gRPC', tensorFlowGrpc(await slipway.grpcPort), slipway.pid);
} finally {
  await Promise.all([baseline.stop(), slipway.stop()]);
}
