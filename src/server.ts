import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createChoiceStore } from './choice/choice-store.ts';
import { createDeviceRoom } from './choice/device-room.ts';
import { createChoosingLauncher } from './choice/choosing-launcher.ts';
import { createCompiledModels } from './compilation/compiled-models.ts';
import { createCompilingLauncher } from './compilation/compiling-launcher.ts';
import type { CompileResult } from './compilation/result.ts';
import type { Config } from './config/schema.ts';
import { createDatasetCatalog } from './datasets/catalog.ts';
import { createUploadStore } from './datasets/uploads.ts';
import { createDeviceReader } from './devices/devices.ts';
import { type EngineHere, enginesHere } from './devices/engines-here.ts';
import { nvidiaBytesOf } from './devices/nvidia.ts';
import { machineKey } from './devices/machine.ts';
import { createInference } from './inference/inference.ts';
import { createIntake } from './inference/intake.ts';
import { createLateness } from './inference/lateness.ts';
import { createQuotas } from './inference/quotas.ts';
import { createResponseCache } from './inference/response-cache.ts';
import { createInferenceStatistics, withStatistics } from './inference/statistics.ts';
import { runJobProcess } from './jobs/job-process.ts';
import { createJobs } from './jobs/jobs.ts';
import { createRollouts } from './rollouts/rollouts.ts';
import { withRollouts } from './rollouts/with-rollouts.ts';
import { createOptimizeWork } from './jobs/optimization/optimize-work.ts';
import { createPublishOnce } from './jobs/publish.ts';
import { createTrainWork } from './jobs/training/train-work.ts';
import { readSigningKeys } from './packages/signing-keys.ts';
import type { OnInference } from './inference/types.ts';
import { defaultFolder } from './native/installation.ts';
import { tensorflowEnvironment } from './native/tensorflow-environment.ts';
import type { Logger } from './observability/log.ts';
import { createTracing, tracesUrl } from './observability/tracing.ts';
import { createGrpcEndpoints, createHttpEndpoints, incomingFolderOf, type ProtocolParts } from './protocols/endpoints.ts';
import { createClientIdentity } from './protocols/client-identity.ts';
import { createGrpcListeners } from './protocols/grpc/grpc-listeners.ts';
import { createHttpListeners } from './protocols/http/http-listeners.ts';
import type { ServerPhase } from './protocols/operation/health-routes.ts';
import { createRegistry } from './registry/registry.ts';
import type { Registry } from './registry/types.ts';
import { createGroupingLauncher } from './runners/group.ts';
import { runnerEnvironment } from './runners/host/environment.ts';
import { createRunnerLauncher } from './runners/host/launcher.ts';
import { processMemoryBytes } from './runners/host/memory.ts';
import { createLanes } from './scheduler/lanes.ts';

export interface Server {
  /** The address of the native API, once started, e.g. `http://127.0.0.1:8080`. */
  readonly address: string;
  /** Every address that it listens on, once started, the native API's first, those of gRPC as `127.0.0.1:9000`. */
  readonly addresses: readonly string[];
  readonly registry: Registry;
  /** Listens first, so that probes are answered, then loads the models. Resolves when each is ready or failed. */
  start(): Promise<void>;
  /** Readiness drops, new work is refused, work in flight finishes within its time, runners end. Safe to call twice. */
  stop(): Promise<void>;
}

/** What a server is given by the process that it runs in. */
export interface ServerEnvironment {
  readonly logger: Logger;
  /** Runners get the part of it that they need. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Slipway's own, for protocols that say it. */
  readonly version: string;
  /**
   * False when other servers may work on the same models: what uploads have left in the repository is then not removed at
   * the start, for it may be on its way. Default true.
   */
  readonly isAlone?: boolean;
}

/** What a person wants to know first: which models answer, on which engine and device, and which do not. */
function readyLine(registry: Registry): string {
  const ready: string[] = [];
  const failed: string[] = [];
  let onDemandCount = 0;
  for (const { name, versions } of registry.list()) {
    for (const { version, state, reason, loaded, onDemand } of versions) {
      if (onDemand) onDemandCount += 1;
      if (state === 'ready' && loaded !== undefined) ready.push(`${name}/${version} (${loaded.engine} on ${loaded.device})`);
      if (state === 'failed') failed.push(`${name}/${version} (${reason})`);
    }
  }
  const waiting = onDemandCount === 0 ? '' : `; loaded by their first request: ${onDemandCount}`;
  return `ready: ${ready.join(', ') || 'no models'}${waiting}${failed.length === 0 ? '' : `; failed: ${failed.join(', ')}`}`;
}

/**
 * Builds every part and hands them to each other.
 * @throws KeyFileError for keys that can't be used
 */
export function createServer(config: Config, { logger, env: ownEnv, version, isAlone = true }: ServerEnvironment): Server {
  // What child processes are given: they load engines, this process does not.
  const tensorflowFolder = resolve(config.tensorflow.folder ?? defaultFolder(ownEnv));
  const env = { ...ownEnv, ...tensorflowEnvironment(tensorflowFolder, ownEnv) };
  let phase: ServerPhase = 'starting';
  let addresses: readonly string[] = [];
  let stopping: Promise<void> | undefined;

  const { trustedKeys, signingKey } = readSigningKeys(config.packages);
  const compiledModels = createCompiledModels({
    folder: join(resolve(config.state), 'compiled'),
    maxCacheBytes: config.compiler.maxCacheBytes,
    compile: async (request, signal) => {
      const settings = {
        ...config.compiler,
        env: runnerEnvironment(env, undefined),
        stopGraceMs: config.jobs.stopGraceMs,
        group: 'compiler',
      } as const;
      return (await runJobProcess({ settings, job: 'compile', request, onEvent: () => {}, signal })) as CompileResult;
    },
    logger,
  });
  const runners = createRunnerLauncher({ ...config.runners, missingDevice: config.devices.onMissing, warmUp: config.warmUp, logger, env });
  const grouped = createGroupingLauncher(config.compiler.enabled ? createCompilingLauncher(runners, compiledModels) : runners);
  const deviceRoom = createDeviceRoom({
    launcher: grouped,
    budgetBytes: config.devices.gpuBudgetBytes,
    onMissing: config.devices.onMissing,
    bytesOf: (pids) => nvidiaBytesOf(pids, ownEnv),
    logger,
  });
  const engines = (): readonly EngineHere[] => enginesHere(tensorflowFolder, ownEnv);
  const launcher = createChoosingLauncher({
    launcher: deviceRoom,
    store: createChoiceStore({
      folder: join(resolve(config.state), 'choices'),
      machine: () => machineKey(engines(), ownEnv),
      maxChoices: config.devices.maxChoices,
    }),
    engines,
    compiles: config.compiler.enabled,
    mode: config.devices.choice,
    prefer: config.devices.prefer,
    hasRoom(bytes) {
      const { limitBytes, usedBytes } = registry.memory();
      return limitBytes === undefined || usedBytes + bytes <= limitBytes;
    },
    logger,
  });
  const { maxBytes: cacheBytes } = config.responseCache;
  const responseCache = cacheBytes === undefined ? undefined : createResponseCache(cacheBytes);
  const registry: Registry = createRegistry({
    models: resolve(config.models),
    repository: config.repository,
    threads: config.runners.threads,
    instances: config.runners.instances,
    drainMs: config.shutdown.drainMs,
    memory: config.memory,
    maxWaiting: config.scheduler.maxQueueDepth,
    launcher,
    trustedKeys,
    logger,
    // Until the server is ready, the line that says so speaks for all. What is wrong the registry says itself.
    onStateChange: (event) => {
      responseCache?.forget(event.model, event.version);
      const isWrong = event.state === 'failed' || (event.state === 'ready' && event.reason !== '');
      if (phase === 'ready' && !isWrong) logger.info(event, `${event.model}/${event.version} is ${event.state}`);
    },
  });
  const ingestLimits = { ...config.datasets, maxImagePixels: config.limits.maxImagePixels };
  const datasets = createDatasetCatalog({
    folder: join(resolve(config.state), 'datasets'),
    limits: ingestLimits,
    maxHeapBytes: config.datasets.maxHeapBytes,
    maxReaders: config.datasets.maxReaders,
    env: runnerEnvironment(env, undefined),
    logger,
  });
  const uploads = createUploadStore({
    folder: join(resolve(config.state), 'datasets', '.uploads'),
    maxBytes: config.datasets.maxUploadBytes,
    expiryMs: config.datasets.uploadExpiryMs,
  });
  const publish = createPublishOnce({ registry, incomingFolder: incomingFolderOf(config), signingKey });
  const jobProcess = { ...config.jobs, env: runnerEnvironment(env, undefined), group: 'jobs' } as const;
  const jobs = createJobs({
    folder: join(resolve(config.state), 'jobs'),
    ...config.jobs,
    work: {
      train: createTrainWork({
        datasets,
        registry,
        publish,
        process: jobProcess,
        checkpointMs: config.jobs.checkpointMs,
        threads: config.jobs.threads,
        version,
      }),
      optimize: createOptimizeWork({
        registry,
        datasets,
        publish,
        process: jobProcess,
        ingestLimits,
        compiles: config.compiler.enabled,
        threads: config.runners.threads,
        trainingThreads: config.jobs.threads,
        bounds: config.limits,
        version,
        logger,
      }),
    },
    logger,
  });
  const statistics = createInferenceStatistics();
  const lanes = createLanes(config.scheduler);
  const uncounted = createInference({ registry, lanes, responseCache, ...config.scheduler });
  const rollouts = createRollouts({
    registry,
    folder: join(resolve(config.state), 'rollouts'),
    saveMs: config.rollouts.saveMs,
    logger,
  });
  const inference = withRollouts(withStatistics(uncounted, statistics), {
    rollouts,
    uncounted,
    shadowing: createInference({ registry, lanes, ...config.scheduler }),
    ...config.rollouts,
  });
  const intake = createIntake({
    lateness: createLateness(),
    quotas: createQuotas(config.clients),
    ...config.scheduler,
    // Of which model they are, their bodies would have said.
    onRefused: ({ code }) => statistics.unanswered('', code),
  });
  const parts: ProtocolParts = {
    config,
    registry,
    compiledModels,
    trustedKeys,
    datasets,
    uploads,
    jobs,
    inference,
    rollouts,
    lanes,
    statistics,
    modelBytesOn: deviceRoom.usedBytes,
    devices: createDeviceReader({ memoryOf: processMemoryBytes, env: ownEnv }),
    engines,
    responseCache,
    phase: () => phase,
    version,
  };
  const onInference: OnInference = ({ model, version: answering, times }, decodeMs, encodeMs) =>
    statistics.atEdge(model, answering, times, decodeMs, encodeMs);
  const { endpoint, serviceName = env['OTEL_SERVICE_NAME'] ?? 'slipway', sampleRatio } = config.observability.tracing;
  const url = tracesUrl(endpoint, env);
  const tracing = url === undefined ? undefined : createTracing({ url, serviceName, sampleRatio, version, logger });
  const { requestArrivalMs, maxBodyBytes } = config.limits;
  const clients = createClientIdentity(config.clients);
  const http = createHttpListeners(createHttpEndpoints(parts), { logger, requestArrivalMs, clients, intake, onInference, traces: tracing });
  const grpc = createGrpcListeners(createGrpcEndpoints(parts), {
    maxMessageBytes: maxBodyBytes,
    clients,
    intake,
    logger,
    onInference,
    traces: tracing,
  });

  async function stop(): Promise<void> {
    phase = 'stopping';
    grpc.setServing(false);
    http.announceClose();
    if (config.shutdown.unreadyMs > 0) await new Promise((done) => setTimeout(done, config.shutdown.unreadyMs));
    // Ends the streams of events too, so that their connections do not hold up the rest.
    const jobsStopped = jobs.stop();
    // Answers what has arrived and takes no new connection; runners stay up until then.
    const { drainMs } = config.shutdown;
    const closed = Promise.all([http.close(), grpc.stop(drainMs)]);
    await Promise.race([closed, new Promise((done) => setTimeout(done, drainMs).unref())]);
    // Not before: what comes on a connection that was taken is served, and its answer ends the connection.
    inference.close();
    await jobsStopped;
    await datasets.stop();
    await Promise.all([rollouts.stop(), registry.stop(), launcher.stop(), compiledModels.stop(), tracing?.stop()]);
  }

  return {
    get address() {
      return addresses[0] ?? '';
    },
    get addresses() {
      return addresses;
    },
    registry,
    async start() {
      // What an upload cut short by a crash has left.
      if (isAlone) await rm(incomingFolderOf(config), { recursive: true, force: true });
      await mkdir(resolve(config.models), { recursive: true });
      await datasets.start();
      await uploads.start();
      await tracing?.start();
      const loading = registry.start();
      // A failure to listen must not leave an unhandled rejection of the registry behind.
      loading.catch(() => {});
      addresses = await http.listen(config.host);
      logger.info({ addresses }, `listening on ${addresses.join(', ')}`);
      const grpcAddresses = await grpc.listen(config.host);
      if (grpcAddresses.length > 0) logger.info({ addresses: grpcAddresses }, `listening for gRPC on ${grpcAddresses.join(', ')}`);
      addresses = [...addresses, ...grpcAddresses];
      await loading;
      // Jobs publish into the registry.
      if (stopping === undefined) await jobs.start();
      if (stopping !== undefined) return;
      phase = 'ready';
      grpc.setServing(true);
      logger.info({ models: registry.list().length }, readyLine(registry));
      launcher.begin();
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
