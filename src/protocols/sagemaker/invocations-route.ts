import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller, Inference } from '../../inference/types.ts';
import type { ReadyVersion, Registry } from '../../registry/types.ts';
import { parseJson, type ScannedJson } from '../../tensor/json-scanner.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { callerHeaders } from '../http/caller.ts';
import { compressAnswer, decodeBody } from '../http/content-encoding.ts';
import { type BodyDefinition, defineRoute, type RouteAnswer, type RouteContext, type RouteDefinition } from '../http/route.ts';
import { rowsIn } from '../native/decode-request.ts';
import { type Predict, tableInputs } from '../native/predict.ts';
import { predictBody as nativeBody, predictEnvelope, predictResponse } from '../native/schemas.ts';
import { decodePredict, formatOf, type PredictFormat } from '../tensorflow-serving/rest/decode-predict.ts';
import { encodePredict } from '../tensorflow-serving/rest/encode-predict.ts';
import { isJsonObject, type JsonObject } from '../../tensor/json-object.ts';
import { predictAnswer, predictBody } from '../tensorflow-serving/rest/schemas.ts';
import { readNumberRows, readTableRows, writeRows } from './csv.ts';

export interface InvocationsOptions {
  readonly inference: Inference;
  readonly registry: Pick<Registry, 'list'>;
  readonly predict: Predict;
  /** Answers when a request names no model; undefined for the only one that there is. */
  readonly defaultModel: string | undefined;
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

const TARGET_MODEL = 'x-amzn-sagemaker-target-model';

/** A body with one of these is of the native API; `inputs` alone is TensorFlow Serving's column format. */
const NATIVE_FIELDS = Object.keys(predictEnvelope.shape);

/** The name in the header; multi-model endpoints name a package there, `digits.tar.gz`. */
function targetOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header.replace(/^\//, '').replace(/\.tar\.gz$/, '') : undefined;
}

/** `{"instances":…}` and `{"inputs":…}` as in TensorFlow Serving; a bare array is instances, as in SageMaker's container for it. */
function fieldsOf(body: ScannedJson): JsonObject {
  return isJsonObject(body) ? body : { instances: body };
}

/** `POST /invocations`: JSON of the native API or of TensorFlow Serving, CSV, or an image. */
export function createInvocationsRoute({
  inference,
  registry,
  predict,
  defaultModel,
  maxBodyBytes,
  maxJsonDepth,
}: InvocationsOptions): RouteDefinition {
  function fallback(): string {
    if (defaultModel !== undefined) return defaultModel;
    const models = registry.list();
    const [only] = models;
    if (only !== undefined && models.length === 1) return only.name;
    const found = models.length === 0 ? 'there is none' : `there are ${models.length}`;
    throw new SlipwayError(
      'INVALID_REQUEST',
      `The request names no model and ${found}: send the header X-Amzn-SageMaker-Target-Model, or set sagemaker.defaultModel.`,
    );
  }

  async function run(
    version: ReadyVersion,
    inputs: NamedTensors,
    format: PredictFormat,
    headers: IncomingHttpHeaders,
    caller: Caller,
  ): Promise<RouteAnswer> {
    const response = await inference.predict(version, { inputs, outputs: undefined, ...caller });
    const { outputs } = response;
    const [only, ...more] = outputs.values();
    const wantsCsv = headers.accept?.trimStart().startsWith('text/csv') === true;
    const answer =
      wantsCsv && only !== undefined && more.length === 0 && only.dtype !== 'BYTES'
        ? { status: 200, contentType: 'text/csv', inference: response, payload: writeRows(only) }
        : { status: 200, contentType: 'application/json', inference: response, payload: encodePredict(outputs, format) };
    return compressAnswer(answer, headers['accept-encoding']);
  }

  async function fromCsv(body: Buffer, target: string | undefined, context: RouteContext<unknown, unknown>): Promise<RouteAnswer> {
    const { headers, caller } = context;
    const version = await inference.resolve({ model: target ?? fallback() }, caller);
    const { manifest, signature, model } = version;
    const { preprocessing } = manifest;
    const rows = preprocessing?.kind === 'table' ? readTableRows(body, preprocessing.columns) : undefined;
    const made = tableInputs(rows, version);
    if (made !== undefined) return run(version, made, 'row', headers, caller);
    const [only, ...more] = signature.inputs;
    if (only === undefined || more.length > 0 || only.dtype === 'BYTES') {
      throw new SlipwayError(
        'INPUT_MISMATCH',
        `Model "${model}" does not take CSV, which is for models with one input of numbers; send JSON.`,
      );
    }
    return run(version, new Map([[only.name, readNumberRows(body, only)]]), 'row', headers, caller);
  }

  async function fromJson(bytes: Buffer, target: string | undefined, context: RouteContext<unknown, unknown>): Promise<RouteAnswer> {
    const { headers, caller } = context;
    const body = parseJson(bytes, { maxDepth: maxJsonDepth, nonFinite: true });
    if (isJsonObject(body) && NATIVE_FIELDS.some((name) => Object.hasOwn(body, name))) {
      const named = target ?? (Object.hasOwn(body, 'model') ? undefined : fallback());
      return predict.fromJson(body, [{ model: named }], caller);
    }
    const fields = fieldsOf(body);
    const format = formatOf(fields);
    const version = await inference.resolve({ model: target ?? fallback() }, caller);
    const value = (format === 'row' ? fields['instances'] : fields['inputs'])!;
    const rows = version.manifest.preprocessing?.kind === 'table' ? rowsIn(value, version.signature) : undefined;
    return run(version, tableInputs(rows, version) ?? decodePredict(fields, format, version.signature), format, headers, caller);
  }

  const json = { schema: z.union([predictBody, nativeBody]), example: { instances: [1, 2, 3] } };
  const body: BodyDefinition = {
    kind: 'bytes',
    maxBytes: maxBodyBytes,
    required: true,
    content: {
      'application/json': json,
      'text/csv': { description: 'A row for each example, for models of a table or with one input of numbers. No header is needed.' },
      'image/*': { description: 'An image file, for models whose slipway.json declares image preprocessing.' },
      'application/x-image': { description: 'The same.' },
      'application/x-www-form-urlencoded': { description: 'The same as application/json, which curl -d calls so.' },
    },
  };
  return defineRoute({
    method: 'POST',
    path: '/invocations',
    operationId: 'sagemakerInvocations',
    tag: 'sagemaker',
    admission: true,
    headers: callerHeaders.extend({
      'X-Amzn-SageMaker-Target-Model': z
        .string()
        .optional()
        .meta({ description: 'Name of the model, or of its package: `digits.tar.gz`.' }),
    }),
    summary: 'Run a model (SageMaker).',
    description:
      'The header X-Amzn-SageMaker-Target-Model names the model, else the setting sagemaker.defaultModel, else it is the only one. X-Amzn-SageMaker-Custom-Attributes is ignored.',
    body,
    responses: {
      200: {
        description: 'In the form of the request; CSV with `Accept: text/csv`.',
        schema: z.union([predictAnswer, predictResponse]),
        example: { predictions: [3, 6, 9] },
      },
    },
    errors: [400, 404, 409, 413, 415, 429, 499, 500, 501, 503, 504],
    async handle(context) {
      const target = targetOf(context.headers[TARGET_MODEL]);
      const bytes = await decodeBody(context.body, context.headers['content-encoding'], maxBodyBytes);
      if (context.mediaType === 'text/csv') return fromCsv(bytes, target, context);
      if (context.mediaType.startsWith('image/') || context.mediaType === 'application/x-image') {
        return predict.fromImage(bytes, [{ model: target ?? fallback() }], context.caller);
      }
      return fromJson(bytes, target, context);
    },
  });
}
