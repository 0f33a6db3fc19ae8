import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { ReadyVersion } from '../../../registry/types.ts';
import { loadProto } from '../../grpc/load-proto.ts';
import type { CallContext, GrpcService } from '../../grpc/service.ts';
import { WireWriter } from '../../../protobuf/wire-writer.ts';
import { type Serving, SIGNATURE_DEF, signatureNameOf, signaturesOf, STATE_NUMBER } from '../serving.ts';
import { describeSignature } from '../signature-def.ts';
import { readExamples } from './example.ts';
import { readExamplesRequest, readMetadataRequest, readPredictRequest, readStatusRequest, writeModelSpec } from './messages.ts';
import { decodeTensorProto, encodeTensorProto } from './tensor-proto.ts';

export interface TensorFlowServiceOptions {
  readonly serving: Serving;
  /** Most memory that one tensor of a request may take. */
  readonly maxBodyBytes: number;
}

/** google.rpc.Code of a version that failed. */
const UNKNOWN = 2;

const SIGNATURE_DEF_MAP = 'tensorflow.serving.SignatureDefMap';

function modelSpec(ready: ReadyVersion): WireWriter {
  return writeModelSpec(ready.model, ready.version, signatureNameOf(ready));
}

/** A message of `definition` as the content of a `google.protobuf.Any`. */
function anyOf(definition: PackageDefinition, type: string, value: object): object {
  const message = definition[type] as MessageTypeDefinition<object, object>;
  return { type_url: `type.googleapis.com/${type}`, value: message.serialize(value) };
}

function predictionService({ serving, maxBodyBytes }: TensorFlowServiceOptions, definition: PackageDefinition): GrpcService {
  async function predict(bytes: Buffer, context: CallContext): Promise<Buffer> {
    const { spec, inputs, outputFilter } = readPredictRequest(bytes);
    const version = await serving.resolve(spec.reference, spec.signatureName, context);
    const tensors = new Map(inputs.map(([name, tensor]) => [name, decodeTensorProto(tensor, `inputs.${name}`, maxBodyBytes)]));
    const answer = await serving.predict(version, tensors, outputFilter, context);
    context.answered(answer);
    const response = new WireWriter();
    for (const [name, tensor] of answer.outputs)
      response.message(1, new WireWriter().string(1, name).message(2, encodeTensorProto(tensor)));
    return response.message(2, modelSpec(version)).finish();
  }

  async function classify(bytes: Buffer, context: CallContext): Promise<Buffer> {
    const { spec, examples, context: shared } = readExamplesRequest(bytes);
    const version = await serving.resolve(spec.reference, spec.signatureName, context);
    const { results, inference } = await serving.classify(version, readExamples(examples, shared), context);
    context.answered(inference);
    const result = new WireWriter();
    for (const classes of results) {
      const classifications = new WireWriter();
      for (const { label, score } of classes) classifications.message(1, new WireWriter().string(1, label).float(2, score));
      result.message(1, classifications);
    }
    return new WireWriter().message(1, result).message(2, modelSpec(version)).finish();
  }

  async function regress(bytes: Buffer, context: CallContext): Promise<Buffer> {
    const { spec, examples, context: shared } = readExamplesRequest(bytes);
    const version = await serving.resolve(spec.reference, spec.signatureName, context);
    const { results, inference } = await serving.regress(version, readExamples(examples, shared), context);
    context.answered(inference);
    const result = new WireWriter();
    for (const value of results) {
      result.message(1, new WireWriter().float(1, value));
    }
    return new WireWriter().message(1, result).message(2, modelSpec(version)).finish();
  }

  async function metadata(bytes: Buffer): Promise<object> {
    const { spec, fields } = readMetadataRequest(bytes);
    const unknown = fields.find((field) => field !== SIGNATURE_DEF);
    if (fields.length === 0 || unknown !== undefined) {
      const problem = unknown === undefined ? 'names nothing' : `names "${unknown}"`;
      throw new SlipwayError('INVALID_REQUEST', `metadata_field ${problem}; there is "${SIGNATURE_DEF}".`, {
        details: [{ path: 'metadata_field', message: problem }],
      });
    }
    const ready = await serving.resolve(spec.reference, '');
    const { model, version } = ready;
    const described = signaturesOf(ready).map(([name, signature]) => [name, describeSignature(signature)]);
    const map = { signature_def: Object.fromEntries(described) as Record<string, object> };
    return {
      model_spec: { name: model, version: { value: version } },
      metadata: { [SIGNATURE_DEF]: anyOf(definition, SIGNATURE_DEF_MAP, map) },
    };
  }

  const unary = { Predict: predict, Classify: classify, Regress: regress, GetModelMetadata: metadata };
  return {
    name: 'tensorflow.serving.PredictionService',
    definition,
    unary,
    reads: Object.keys(unary),
    admission: ['Predict', 'Classify', 'Regress'],
  };
}

function modelService({ serving }: TensorFlowServiceOptions, definition: PackageDefinition): GrpcService {
  function status(bytes: Buffer): object {
    const statuses = serving.status(readStatusRequest(bytes).reference).map(({ version, state, message }) => ({
      version,
      state: STATE_NUMBER[state],
      status: message === '' ? {} : { error_code: UNKNOWN, error_message: message },
    }));
    return { model_version_status: statuses };
  }
  return { name: 'tensorflow.serving.ModelService', definition, unary: { GetModelStatus: status }, reads: ['GetModelStatus'] };
}

/** TensorFlow Serving over gRPC. Its other methods (MultiInference, HandleReloadConfigRequest) are answered UNIMPLEMENTED. */
export function createTensorFlowServices(options: TensorFlowServiceOptions): GrpcService[] {
  const definition = loadProto('tensorflow_serving.proto');
  return [predictionService(options, definition), modelService(options, definition)];
}
