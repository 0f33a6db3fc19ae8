import type { InferenceStatistics } from '../../inference/statistics.ts';
import type { Inference } from '../../inference/types.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { ModelReference, Registry } from '../../registry/types.ts';
import type { TensorSpec } from '../../tensor/signature.ts';
import type { UnpackLimits } from '../../packages/entry-writer.ts';
import { createInfer, type Infer } from './infer.ts';
import { applyLoadOverrides, readLoadOverrides } from './load-overrides.ts';
import { encodeModelConfig, platformOf, wireShape } from './model-config.ts';
import { encodeModelStatistics } from './model-statistics.ts';
import type { Parameters } from './parameters.ts';
import { type IndexEntry, loadModel, repositoryIndex } from './repository.ts';

export interface OpenInferenceOptions {
  readonly inference: Inference;
  readonly registry: Registry;
  readonly statistics: InferenceStatistics;
  /** Whether the server takes work. */
  readonly isReady: () => boolean;
  /** Folder of versions that are brought by load requests, until they are published; on the repository's file system. */
  readonly incomingFolder: string;
  readonly uploadLimits: UnpackLimits;
  /** Slipway's version. */
  readonly serverVersion: string;
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/**
 * The Open Inference Protocol (KServe V2) without its wire: what REST and gRPC both answer. The names of the fields are
 * the protocol's, so an answer is written as JSON, or as a gRPC message, as it is.
 */
export interface OpenInference {
  isReady(): boolean;
  /** @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND */
  isModelReady(reference: ModelReference): boolean;
  serverMetadata(): ServerMetadata;
  /** @throws SlipwayError as `Registry.resolve` */
  modelMetadata(reference: ModelReference): Promise<ModelMetadata>;
  /** @throws SlipwayError as `Registry.resolve` */
  modelConfig(reference: ModelReference): Promise<object>;
  /** Of one version, of all ready versions of a model, or of every ready version of every model. */
  modelStatistics(reference: ModelReference | undefined): { readonly model_stats: readonly object[] };
  repositoryIndex(readyOnly: boolean): readonly IndexEntry[];
  /** Loads a model, and first what the parameters `config` and `file:…` bring. */
  load(model: string, parameters: Parameters): Promise<void>;
  unload(model: string): Promise<void>;
  readonly infer: Infer;
}

/** The extensions of the protocol that are there, by Triton's names. */
const EXTENSIONS = ['classification', 'model_repository', 'model_configuration', 'binary_tensor_data', 'parameters', 'statistics'];

function tensorMetadata(spec: TensorSpec): TensorMetadata {
  return { name: spec.name, datatype: spec.dtype, shape: wireShape(spec) };
}

export function createOpenInference(options: OpenInferenceOptions): OpenInference {
  const { inference, registry, statistics, isReady, incomingFolder, uploadLimits, serverVersion } = options;
  return {
    isReady,
    isModelReady(reference) {
      try {
        // What its next request loads is ready to be asked.
        registry.find(reference);
        return true;
      } catch (error) {
        if (error instanceof SlipwayError && error.kind !== 'not_found' && error.kind !== 'internal') return false;
        throw error;
      }
    },
    serverMetadata: () => ({ name: 'slipway', version: serverVersion, extensions: EXTENSIONS }),
    async modelMetadata(reference) {
      const { model, version, signature } = await inference.resolve(reference);
      const { versions } = registry.describe(model);
      return {
        name: model,
        versions: versions.filter(({ state }) => state === 'ready').map((each) => String(each.version)),
        platform: platformOf(versions.find((each) => each.version === version)?.format),
        inputs: signature.inputs.map(tensorMetadata),
        outputs: signature.outputs.map(tensorMetadata),
      };
    },
    async modelConfig(reference) {
      const { model, version } = await inference.resolve(reference);
      return encodeModelConfig(registry.describe(model), registry.describeVersion(model, version));
    },
    modelStatistics(reference) {
      const models = reference === undefined ? registry.list() : [registry.describe(reference.model)];
      if (reference?.version !== undefined) registry.find(reference);
      const model_stats = models.flatMap(({ name, versions }) =>
        versions
          .filter(({ version, state }) => state === 'ready' && (reference?.version === undefined || version === reference.version))
          .map((version) => encodeModelStatistics(name, version, statistics.of(name, version.version))),
      );
      return { model_stats };
    },
    repositoryIndex: (readyOnly) => repositoryIndex(registry.list(), readyOnly),
    async load(model, parameters) {
      await applyLoadOverrides(model, readLoadOverrides(model, parameters), { registry, incomingFolder, limits: uploadLimits });
      await loadModel(registry, model);
    },
    async unload(model) {
      await registry.unload(model);
    },
    infer: createInfer(inference),
  };
}
