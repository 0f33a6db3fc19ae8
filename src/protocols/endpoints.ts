import { join, resolve } from 'node:path';
import type { CompiledModels } from '../compilation/compiled-models.ts';
import type { Config } from '../config/schema.ts';
import type { Devices } from '../devices/device.ts';
import type { EngineHere } from '../devices/engines-here.ts';
import type { DeviceKind } from '../engines/engine.ts';
import type { DatasetCatalog } from '../datasets/catalog.ts';
import type { UploadStore } from '../datasets/uploads.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { ResponseCache } from '../inference/response-cache.ts';
import type { InferenceStatistics } from '../inference/statistics.ts';
import type { Inference } from '../inference/types.ts';
import type { Lanes } from '../scheduler/lanes.ts';
import type { TrustedKeys } from '../packages/signature.ts';
import type { Registry } from '../registry/types.ts';
import { encodeErrorAnswer, NATIVE_ERROR } from './http/error-body.ts';
import type { GrpcEndpoint } from './grpc/grpc-listeners.ts';
import type { HttpEndpoint } from './http/http-listeners.ts';
import type { HttpProtocol } from './http/route.ts';
import { createOpenInference, type OpenInference } from './kserve/open-inference.ts';
import { createKserveProtocol } from './kserve/rest/kserve-protocol.ts';
import { createDatasetRoutes } from './management/dataset-routes.ts';
import { createDatasetUploadRoutes } from './management/dataset-upload-routes.ts';
import { createDeviceRoutes } from './management/device-routes.ts';
import { createMemoryRoutes } from './management/memory-routes.ts';
import { createModelRoutes } from './management/model-routes.ts';
import type { Rollouts } from '../rollouts/rollouts.ts';
import { createRolloutRoutes } from './management/rollout-routes.ts';
import { createPackageRoutes } from './management/package-routes.ts';
import { createSchedulerRoutes } from './management/scheduler-routes.ts';
import { createUploadRoutes } from './management/upload-routes.ts';
import { createResumableUploadRoutes } from './management/resumable-upload-routes.ts';
import { createPredict, type Predict } from './native/predict.ts';
import { createOptimizeJobRoutes } from './management/optimize-job-routes.ts';
import { createTrainJobRoutes } from './management/train-job-routes.ts';
import { createPredictRoutes } from './native/predict-routes.ts';
import { createSagemakerProtocol } from './sagemaker/sagemaker-protocol.ts';
import { createTensorFlowServingProtocol } from './tensorflow-serving/rest/tensorflow-serving-protocol.ts';
import { createServing } from './tensorflow-serving/serving.ts';
import { createDocsRoutes } from './operation/docs-routes.ts';
import { createMetricsRoutes } from './operation/metrics-routes.ts';
import { createHealthRoutes, type ServerPhase } from './operation/health-routes.ts';

export interface ProtocolParts {
  readonly config: Config;
  readonly registry: Registry;
  readonly compiledModels: CompiledModels;
  readonly datasets: DatasetCatalog;
  readonly uploads: UploadStore;
  readonly jobs: Jobs;
  readonly inference: Inference;
  readonly rollouts: Rollouts;
  readonly lanes: Lanes;
  readonly statistics: InferenceStatistics;
  readonly devices: () => Promise<Devices>;
  /** What the models on a kind of device take of its memory, in bytes; undefined where that is not told. */
  readonly modelBytesOn: (kind: DeviceKind) => number | undefined;
  /** What each engine can compute on here. */
  readonly engines: () => readonly EngineHere[];
  /** Whose signature a version must have; undefined when it needs none. */
  readonly trustedKeys: TrustedKeys | undefined;
  /** Undefined when it is off. */
  readonly responseCache?: ResponseCache | undefined;
  readonly phase: () => ServerPhase;
  /** Slipway's version. */
  readonly version: string;
}

/** Uploads wait beside the models, on their file system, so that publishing is a rename. Dot folders are no models. */
export function incomingFolderOf({ models }: Config): string {
  return join(resolve(models), '.incoming');
}

function openInferenceOf({ config, phase, version, ...parts }: ProtocolParts): OpenInference {
  const { maxUnpackedBytes, maxPackageFiles, maxUploadBytes } = config.limits;
  return createOpenInference({
    ...parts,
    isReady: () => phase() === 'ready',
    incomingFolder: incomingFolderOf(config),
    uploadLimits: { maxUnpackedBytes, maxFiles: maxPackageFiles, maxCompressedBytes: maxUploadBytes },
    serverVersion: version,
  });
}

/** Slipway's own API. Health and docs are there even when the rest is turned off. */
function nativeProtocol(
  {
    config,
    registry,
    compiledModels,
    trustedKeys,
    datasets,
    uploads,
    jobs,
    rollouts,
    lanes,
    statistics,
    responseCache,
    devices,
    modelBytesOn,
    engines,
    phase,
  }: ProtocolParts,
  predict: Predict,
): HttpProtocol {
  const { limits } = config;
  const own = [
    ...createPredictRoutes({ predict, ...limits }),
    ...createModelRoutes(registry, statistics),
    ...createPackageRoutes(registry, compiledModels, trustedKeys, config.packages.compressionLevel),
    ...createRolloutRoutes(rollouts),
    ...createSchedulerRoutes({ registry, lanes }),
    ...createMemoryRoutes(() => registry.memory()),
    ...createDeviceRoutes({
      devices,
      engines,
      models: () => registry.list(),
      budgetOf: (kind) => (kind === 'cpu' ? config.memory.budgetBytes : config.devices.gpuBudgetBytes),
      modelBytesOn,
    }),
    ...createUploadRoutes({ registry, incomingFolder: incomingFolderOf(config), ...limits }),
    ...createDatasetRoutes(datasets),
    ...createDatasetUploadRoutes({
      catalog: datasets,
      uploads,
      ...config.datasets,
      folder: config.datasets.folder,
      maxBytes: config.datasets.maxUploadBytes,
    }),
    ...createResumableUploadRoutes(uploads, config.datasets.maxUploadBytes),
    ...createTrainJobRoutes({ jobs, datasets, registry, packages: config.packages, ...limits }),
    ...createOptimizeJobRoutes({ jobs, datasets, registry, packages: config.packages, ...limits }),
  ];
  return {
    tags: {
      predict: 'Running models.',
      models: 'The model repository: versions, labels, packages, life cycle.',
      datasets: 'Data to train on.',
      'train-jobs': 'Training models on datasets.',
      'optimize-jobs': 'Smaller and faster versions, published only if they are still good.',
      operation: 'Health and documentation.',
    },
    routes: [
      ...(config.native.http ? own : []),
      ...createHealthRoutes(registry, phase),
      ...createMetricsRoutes(registry, statistics, rollouts, responseCache),
      ...createDocsRoutes(),
    ],
    prefixes: [],
    encodeError: encodeErrorAnswer,
    error: NATIVE_ERROR,
  };
}

/** Every HTTP protocol that is turned on, the native one first: on its port it answers for unknown paths. */
export function createHttpEndpoints(parts: ProtocolParts): HttpEndpoint[] {
  const { config } = parts;
  const { port, kserve, tensorflowServing, sagemaker, limits } = config;
  const predict = createPredict({ ...parts, ...limits });
  const endpoints: HttpEndpoint[] = [{ protocol: nativeProtocol(parts, predict), port }];
  if (kserve.http) {
    endpoints.push({
      protocol: createKserveProtocol({ openInference: openInferenceOf(parts), ...config.limits }),
      port: kserve.httpPort ?? port,
    });
  }
  if (tensorflowServing.http) {
    endpoints.push({
      protocol: createTensorFlowServingProtocol({ serving: createServing(parts), ...limits }),
      port: tensorflowServing.httpPort ?? port,
    });
  }
  if (sagemaker.http) {
    const isReady = (): boolean => parts.phase() === 'ready';
    endpoints.push({
      protocol: createSagemakerProtocol({ ...parts, ...limits, predict, isReady, defaultModel: sagemaker.defaultModel }),
      port: sagemaker.httpPort ?? port,
    });
  }
  return endpoints;
}

/** Every gRPC service that is turned on. */
export function createGrpcEndpoints(parts: ProtocolParts): GrpcEndpoint[] {
  const { kserve, tensorflowServing, grpcPort, limits } = parts.config;
  const endpoints: GrpcEndpoint[] = [];
  if (kserve.grpc) {
    endpoints.push({
      async open() {
        const { createKserveService } = await import('./kserve/grpc/kserve-service.ts');
        return [createKserveService({ openInference: openInferenceOf(parts) })];
      },
      port: kserve.grpcPort ?? grpcPort,
    });
  }
  if (tensorflowServing.grpc) {
    endpoints.push({
      async open() {
        const { createTensorFlowServices } = await import('./tensorflow-serving/grpc/tensorflow-services.ts');
        return createTensorFlowServices({ serving: createServing(parts), maxBodyBytes: limits.maxBodyBytes });
      },
      port: tensorflowServing.grpcPort ?? grpcPort,
    });
  }
  return endpoints;
}
