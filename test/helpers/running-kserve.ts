import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createInference } from '../../src/inference/inference.ts';
import { createInferenceStatistics, withStatistics } from '../../src/inference/statistics.ts';
import type { Logger } from '../../src/observability/log.ts';
import { createGrpcServer, type GrpcServer } from '../../src/protocols/grpc/grpc-server.ts';
import { encodeErrorAnswer } from '../../src/protocols/http/error-body.ts';
import { createHttpServer } from '../../src/protocols/http/http-server.ts';
import { createKserveService } from '../../src/protocols/kserve/grpc/kserve-service.ts';
import { createOpenInference } from '../../src/protocols/kserve/open-inference.ts';
import { createKserveProtocol } from '../../src/protocols/kserve/rest/kserve-protocol.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import type { Registry } from '../../src/registry/types.ts';
import { createRunnerLauncher } from '../../src/runners/host/launcher.ts';
import { addModels } from './running-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface RunningKserve {
  /** Of the HTTP server, e.g. `http://127.0.0.1:41231`. */
  readonly address: string;
  /** Of the gRPC server, e.g. `127.0.0.1:41232`. */
  readonly grpcAddress: string;
  /** The folder of its model repository. */
  readonly models: string;
  readonly registry: Registry;
  readonly grpc: GrpcServer;
  /** What was logged as an error: defects, and requests that the engine failed. */
  readonly errors: string[];
  setReady(ready: boolean): void;
}

interface Settings {
  readonly maxBodyBytes?: number;
  readonly maxQueueDepth?: number;
  readonly requestTimeoutMs?: number;
}

/** The V2 protocol over both wires on free ports, with real runners, stopped when the test has finished. */
export async function runningKserve(names: readonly string[], settings: Settings = {}): Promise<RunningKserve> {
  const models = join(await temporaryFolder(), 'models');
  await addModels(models, names);
  const { maxBodyBytes, ...scheduler } = settings;
  const config = configSchema.parse({ models, repository: { settleMs: 50, pollMs: 200 }, scheduler, limits: { maxBodyBytes } });
  const errors: string[] = [];
  const logger: Logger = { ...silent, error: (_fields, message) => void errors.push(message) };
  const launcher = createRunnerLauncher({ ...config.runners, logger: silent, env: process.env });
  const registry = createRegistry({
    models,
    repository: config.repository,
    threads: 1,
    drainMs: config.shutdown.drainMs,
    launcher,
    logger: silent,
  });
  const statistics = createInferenceStatistics();
  const inference = withStatistics(createInference({ registry, ...config.scheduler }), statistics);
  let ready = true;
  const openInference = createOpenInference({ inference, registry, statistics, isReady: () => ready, serverVersion: '0.0.0' });
  const kserve = createKserveProtocol({ openInference, ...config.limits });
  const rest = { routes: [], ownsPath: () => true, encodeError: encodeErrorAnswer };
  const http = createHttpServer({ logger, protocols: [kserve, rest] });
  const grpc = createGrpcServer({
    services: [createKserveService({ openInference, logger })],
    maxMessageBytes: config.limits.maxBodyBytes,
    logger,
  });
  onTestFinished(async () => {
    await Promise.all([http.close(), grpc.stop(0)]);
    await registry.stop();
  });
  await registry.start();
  const address = await http.listen({ host: '127.0.0.1', port: 0 });
  const grpcAddress = await grpc.start('127.0.0.1', 0);
  grpc.setServing(true);
  return {
    address,
    grpcAddress,
    models,
    registry,
    grpc,
    errors,
    setReady(now) {
      ready = now;
      grpc.setServing(now);
    },
  };
}
