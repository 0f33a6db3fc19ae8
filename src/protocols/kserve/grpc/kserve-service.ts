import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { ModelReference } from '../../../registry/types.ts';
import { WireWriter } from '../../../protobuf/wire-writer.ts';
import { loadProto } from '../../grpc/load-proto.ts';
import type { CallContext, GrpcService, Method, StreamMethod } from '../../grpc/service.ts';
import { modelReference } from '../model-reference.ts';
import type { OpenInference } from '../open-inference.ts';
import { decodeInferRequest } from './decode-infer.ts';
import { readModelInferRequest, readRepositoryModelLoadRequest, writeModelInferResponse } from './messages.ts';

export interface KserveServiceOptions {
  readonly openInference: OpenInference;
}

/** A request that names a model, or nothing when it means all of them. */
interface ModelRequest {
  readonly name?: string;
  readonly version?: string;
}

interface RepositoryModelRequest {
  readonly model_name?: string;
}

const NAME = 'inference.GRPCInferenceService';

const UNSUPPORTED = [
  'SystemSharedMemoryStatus',
  'SystemSharedMemoryRegister',
  'SystemSharedMemoryUnregister',
  'CudaSharedMemoryStatus',
  'CudaSharedMemoryRegister',
  'CudaSharedMemoryUnregister',
  'TraceSetting',
  'LogSettings',
];

/** Clients of models with many responses to a request wait for the last one; here the only one is that. */
const FINAL = 'triton_final_response';

/** The id of a request that failed, by which its client knows it; empty when the request can't even be read. */
function idOf(bytes: Buffer): string {
  try {
    return readModelInferRequest(bytes).id;
  } catch {
    return '';
  }
}

/** The KServe V2 protocol (Open Inference Protocol) over gRPC, with the extensions of Triton that its clients use. */
export function createKserveService({ openInference }: KserveServiceOptions): GrpcService {
  const referenceOf = ({ name, version }: ModelRequest) => modelReference(name ?? '', version);

  /** A model that is not there is not ready, as Triton answers: scripts ask until a model appears. */
  function isModelReady(reference: ModelReference): boolean {
    try {
      return openInference.isModelReady(reference);
    } catch (error) {
      if (error instanceof SlipwayError && error.kind === 'not_found') return false;
      throw error;
    }
  }

  async function infer(bytes: Buffer, context: CallContext, flags: readonly string[] = []): Promise<WireWriter> {
    const request = readModelInferRequest(bytes);
    const version = await openInference.infer.resolve(modelReference(request.modelName, request.modelVersion), context);
    const answer = await openInference.infer.run(version, decodeInferRequest(request), context);
    context.answered(answer);
    return writeModelInferResponse(answer, request.id, flags);
  }

  const inferInStream: StreamMethod = {
    answer: async (bytes: Buffer, context: CallContext) => new WireWriter().message(2, await infer(bytes, context, [FINAL])).finish(),
    encodeError: ({ message }, bytes) => ({
      error_message: message,
      infer_response: { id: idOf(bytes), parameters: { [FINAL]: { bool_param: true } } },
    }),
  };

  const unary: Record<string, Method> = {
    ServerLive: () => ({ live: true }),
    ServerReady: () => ({ ready: openInference.isReady() }),
    ModelReady: (request: ModelRequest) => ({ ready: isModelReady(referenceOf(request)) }),
    ServerMetadata: () => openInference.serverMetadata(),
    ModelMetadata: (request: ModelRequest) => openInference.modelMetadata(referenceOf(request)),
    ModelInfer: async (bytes: Buffer, context: CallContext) => (await infer(bytes, context)).finish(),
    ModelConfig: async (request: ModelRequest) => ({ config: await openInference.modelConfig(referenceOf(request)) }),
    ModelStatistics: (request: ModelRequest) =>
      openInference.modelStatistics((request.name ?? '') === '' ? undefined : referenceOf(request)),
    RepositoryIndex: ({ ready }: { readonly ready?: boolean }) => ({ models: openInference.repositoryIndex(ready ?? false) }),
    async RepositoryModelLoad(bytes: Buffer) {
      const { modelName, parameters } = readRepositoryModelLoadRequest(bytes);
      await openInference.load(modelName, parameters);
      return {};
    },
    async RepositoryModelUnload({ model_name = '' }: RepositoryModelRequest) {
      await openInference.unload(model_name);
      return {};
    },
  };
  for (const method of UNSUPPORTED) {
    unary[method] = () => {
      throw new SlipwayError('NOT_SUPPORTED', `${method} is not supported.`);
    };
  }
  return {
    name: NAME,
    definition: loadProto('inference.proto'),
    unary,
    streams: { ModelStreamInfer: inferInStream },
    reads: ['ModelInfer', 'ModelStreamInfer', 'RepositoryModelLoad'],
    admission: ['ModelInfer', 'ModelStreamInfer'],
  };
}
