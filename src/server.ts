import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Config } from './config/schema.ts';
import { createInference } from './inference/inference.ts';
import type { Inference } from './inference/types.ts';
import type { Logger } from './observability/log.ts';
import { encodeErrorAnswer } from './protocols/http/error-body.ts';
import { createHttpServer } from './protocols/http/http-server.ts';
import type { HttpProtocol, RouteDefinition } from './protocols/http/route.ts';
import { createModelRoutes } from './protocols/management/model-routes.ts';
import { createUploadRoutes } from './protocols/management/upload-routes.ts';
import { createPredictRoutes } from './protocols/native/predict-routes.ts';
import { createDocsRoutes } from './protocols/operation/docs-routes.ts';
import { createHealthRoutes, type ServerPhase } from './protocols/operation/health-routes.ts';
import { createRegistry } from './registry/registry.ts';
import type { Registry } from './registry/types.ts';
import { createRunnerLauncher } from './runners/host/launcher.ts';

export interface Server {
  /** The address it listens on, once started, e.g. `http://127.0.0.1:8080`. */
  readonly address: string;
  readonly http: FastifyInstance;
  readonly registry: Registry;
  /** Listens first, so that probes are answered, then loads the models. Resolves when each is ready or failed. */
  start(): Promise<void>;
  /** Readiness drops, new work is refused, work in flight finishes within its time, runners end. Safe to call twice. */
  stop(): Promise<void>;
}

export interface RouteParts {
  readonly config: Config;
  readonly registry: Registry;
  readonly inference: Inference;
  readonly phase: () => ServerPhase;
}

/** Every route of the native API; openapi.yaml is generated from this list. */
export function createNativeRoutes({ config, registry, inference, phase }: RouteParts): RouteDefinition[] {
  const { limits } = config;
  return [
    ...createPredictRoutes({ inference, ...limits }),
    ...createModelRoutes(registry),
    ...createUploadRoutes({ registry, incomingFolder: incomingFolderOf(config), ...limits }),
    ...createHealthRoutes(registry, phase),
    ...createDocsRoutes(),
  ];
}

/** Uploads wait beside the models, on their file system, so that publishing is a rename. Dot folders are no models. */
function incomingFolderOf(config: Config): string {
  return join(resolve(config.models), '.incoming');
}

/** What a person wants to know first: which models answer, on which engine and device, and which do not. */
function readyLine(registry: Registry): string {
  const ready: string[] = [];
  const failed: string[] = [];
  for (const { name, versions } of registry.list()) {
    for (const { version, state, reason, loaded } of versions) {
      if (state === 'ready' && loaded !== undefined) ready.push(`${name}/${version} (${loaded.engine} on ${loaded.device})`);
      if (state === 'failed') failed.push(`${name}/${version} (${reason})`);
    }
  }
  return `ready: ${ready.join(', ') || 'no models'}${failed.length === 0 ? '' : `; failed: ${failed.join(', ')}`}`;
}

/**
 * Builds every part and hands them to each other.
 * @param env the process's environment; runners get the part of it that they need.
 */
export function createServer(config: Config, logger: Logger, env: Readonly<NodeJS.ProcessEnv>): Server {
  let phase: ServerPhase = 'starting';
  let address = '';
  let stopping: Promise<void> | undefined;

  const launcher = createRunnerLauncher({ ...config.runners, logger, env });
  const registry = createRegistry({
    models: resolve(config.models),
    repository: config.repository,
    threads: config.runners.threads,
    drainMs: config.shutdown.drainMs,
    launcher,
    logger,
    // Until the server is ready, the line that says so speaks for all.
    onStateChange: (event) => {
      if (phase === 'ready' && event.state !== 'failed') logger.info(event, `${event.model}/${event.version} is ${event.state}`);
    },
  });
  const inference = createInference({ registry, ...config.scheduler });
  const native: HttpProtocol = {
    routes: createNativeRoutes({ config, registry, inference, phase: () => phase }),
    ownsPath: () => true,
    encodeError: encodeErrorAnswer,
  };
  const http = createHttpServer({ logger, protocols: [native] });

  async function stop(): Promise<void> {
    phase = 'stopping';
    if (config.shutdown.unreadyMs > 0) await new Promise((done) => setTimeout(done, config.shutdown.unreadyMs));
    inference.close();
    // Answers what has arrived and takes no new connection; runners stay up until then.
    await Promise.race([http.close(), new Promise((done) => setTimeout(done, config.shutdown.drainMs).unref())]);
    await registry.stop();
  }

  return {
    get address() {
      return address;
    },
    http,
    registry,
    async start() {
      // What an upload cut short by a crash has left.
      await rm(incomingFolderOf(config), { recursive: true, force: true });
      await mkdir(resolve(config.models), { recursive: true });
      const loading = registry.start();
      // A failure to listen must not leave an unhandled rejection of the registry behind.
      loading.catch(() => {});
      address = await http.listen({ host: config.host, port: config.port });
      logger.info({ address }, `listening on ${address}`);
      await loading;
      if (stopping !== undefined) return;
      phase = 'ready';
      logger.info({ models: registry.list().length }, readyLine(registry));
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
