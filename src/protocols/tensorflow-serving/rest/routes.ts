import type { z } from 'zod';
import type { InferenceTimes } from '../../../inference/types.ts';
import type { ModelReference } from '../../../registry/types.ts';
import { encodeJsonTensor } from '../../../tensor/json-encode.ts';
import { labelParams, modelParams, versionParams } from '../../http/path-params.ts';
import { callerHeaders } from '../../http/caller.ts';
import { compressAnswer, decodeBody } from '../../http/content-encoding.ts';
import { type BodyDefinition, defineRoute, type RouteAnswer, type RouteContext, type RouteDefinition } from '../../http/route.ts';
import { type Serving, SIGNATURE_DEF, signaturesOf } from '../serving.ts';
import { describeSignature } from '../signature-def.ts';
import { decodeExamples } from './decode-examples.ts';
import { decodePredict, formatOf } from './decode-predict.ts';
import { encodePredict } from './encode-predict.ts';
import { readBody } from './read-body.ts';
import { classifyAnswer, examplesBody, metadataAnswer, predictAnswer, predictBody, regressAnswer, statusAnswer } from './schemas.ts';

export interface TensorFlowServingRouteOptions {
  readonly serving: Serving;
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
}

/** The three ways in which a path names a model. */
const REFERENCES = [
  { path: '/v1/models/{name}', params: modelParams, suffix: '' },
  { path: '/v1/models/{name}/versions/{version}', params: versionParams, suffix: 'Version' },
  { path: '/v1/models/{name}/labels/{label}', params: labelParams, suffix: 'Label' },
] as const;

interface PathParams {
  readonly name: string;
  readonly version?: number;
  readonly label?: string;
}

function referenceOf({ name, version, label }: PathParams): ModelReference {
  return { model: name, ...(version !== undefined && { version }), ...(label !== undefined && { label }) };
}

type Shared = Pick<RouteDefinition, 'method' | 'operationId' | 'admission' | 'headers' | 'summary' | 'responses'> & {
  readonly body?: BodyDefinition;
};

/** One operation for each way to name its model. @param after what follows the model in the path. */
function routesOf(
  after: string,
  shared: Shared,
  handle: (reference: ModelReference, context: RouteContext<unknown, unknown>) => Promise<RouteAnswer>,
): RouteDefinition[] {
  return REFERENCES.map(({ path, params, suffix }) =>
    defineRoute<PathParams>({
      tag: 'tensorflow-serving',
      errors: shared.method === 'GET' ? [400, 404, 500, 503] : [400, 404, 413, 415, 429, 499, 500, 501, 503, 504],
      ...shared,
      path: `${path}${after}`,
      operationId: `${shared.operationId}${suffix}`,
      params: params as z.ZodType<PathParams>,
      handle: (context) => handle(referenceOf(context.params), context),
    }),
  );
}

function jsonAnswer(payload: string, inference?: InferenceTimes): RouteAnswer {
  return { status: 200, contentType: 'application/json', payload, ...(inference && { inference }) };
}

const PREDICT_EXAMPLE = { instances: [1, 2, 3] };
const EXAMPLES_EXAMPLE = { examples: [{ x: 1 }, { x: 2 }] };
const STATUS_EXAMPLE: z.infer<typeof statusAnswer> = {
  model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }],
};
const METADATA_EXAMPLE: z.infer<typeof metadataAnswer> = {
  model_spec: { name: 'times-three', signature_name: '', version: '1' },
  metadata: {
    signature_def: {
      signature_def: {
        serving_default: describeSignature({
          inputs: [{ name: 'x', dtype: 'FP32', shape: [-1] }],
          outputs: [{ name: 'y', dtype: 'FP32', shape: [-1] }],
        }),
      },
    },
  },
};

function inferenceRoutes({ serving, maxBodyBytes, maxJsonDepth }: TensorFlowServingRouteOptions): RouteDefinition[] {
  function bodyOf(schema: z.ZodType, example: unknown): BodyDefinition {
    // TensorFlow Serving reads JSON whatever its type is called; curl -d says application/x-www-form-urlencoded.
    const content = { 'application/json': { schema, example }, 'application/x-www-form-urlencoded': {}, 'text/plain': {} };
    return { kind: 'bytes', maxBytes: maxBodyBytes, required: true, content };
  }
  const read = async ({ body, headers }: RouteContext<unknown, unknown>): Promise<ReturnType<typeof readBody>> =>
    readBody(await decodeBody(body, headers['content-encoding'], maxBodyBytes), maxJsonDepth);

  async function predict(reference: ModelReference, context: RouteContext<unknown, unknown>): Promise<RouteAnswer> {
    const { signatureName, fields } = await read(context);
    const format = formatOf(fields);
    const { caller } = context;
    const version = await serving.resolve(reference, signatureName, caller);
    const inputs = decodePredict(fields, format, version.signature);
    const response = await serving.predict(version, inputs, [], caller);
    return compressAnswer(jsonAnswer(encodePredict(response.outputs, format), response), context.headers['accept-encoding']);
  }

  async function classify(reference: ModelReference, context: RouteContext<unknown, unknown>): Promise<RouteAnswer> {
    const { signatureName, fields } = await read(context);
    const { caller } = context;
    const version = await serving.resolve(reference, signatureName, caller);
    const { results, inference } = await serving.classify(version, decodeExamples(fields), caller);
    const texts = results.map(
      (classes) => `[${classes.map(({ label, score }) => `[${JSON.stringify(label)},${scoreText(score)}]`).join(',')}]`,
    );
    return jsonAnswer(`{"results":[${texts.join(',')}]}`, inference);
  }

  async function regress(reference: ModelReference, context: RouteContext<unknown, unknown>): Promise<RouteAnswer> {
    const { signatureName, fields } = await read(context);
    const { caller } = context;
    const version = await serving.resolve(reference, signatureName, caller);
    const { results, inference } = await serving.regress(version, decodeExamples(fields), caller);
    return jsonAnswer(`{"results":[${Array.from(results, scoreText).join(',')}]}`, inference);
  }

  const method = 'POST';
  return [
    ...routesOf(
      ':predict',
      {
        method,
        operationId: 'tensorflowPredict',
        admission: true,
        headers: callerHeaders,
        summary: 'Run a model (TensorFlow Serving).',
        body: bodyOf(predictBody, PREDICT_EXAMPLE),
        responses: { 200: { description: 'The outputs of the model.', schema: predictAnswer, example: { predictions: [3, 6, 9] } } },
      },
      predict,
    ),
    ...routesOf(
      ':classify',
      {
        method,
        operationId: 'tensorflowClassify',
        admission: true,
        headers: callerHeaders,
        summary: 'The scores of all classes for examples (TensorFlow Serving).',
        body: bodyOf(examplesBody, EXAMPLES_EXAMPLE),
        responses: {
          200: {
            description: 'The classes of each example.',
            schema: classifyAnswer,
            example: {
              results: [
                [
                  ['cat', 0.9],
                  ['dog', 0.1],
                ],
              ],
            },
          },
        },
      },
      classify,
    ),
    ...routesOf(
      ':regress',
      {
        method,
        operationId: 'tensorflowRegress',
        admission: true,
        headers: callerHeaders,
        summary: 'One value for each example (TensorFlow Serving).',
        body: bodyOf(examplesBody, EXAMPLES_EXAMPLE),
        responses: { 200: { description: 'The values.', schema: regressAnswer, example: { results: [3, 6] } } },
      },
      regress,
    ),
  ];
}

/** Scores are FP32 in the protocol. */
function scoreText(score: number): string {
  return encodeJsonTensor({ dtype: 'FP32', shape: [], data: Float32Array.of(score) }, { nonFinite: true, point: true });
}

/** Every route of TensorFlow Serving's REST API. */
export function createTensorFlowServingRoutes(options: TensorFlowServingRouteOptions): RouteDefinition[] {
  const { serving } = options;
  return [
    ...inferenceRoutes(options),
    ...routesOf(
      '',
      {
        method: 'GET',
        operationId: 'tensorflowStatus',
        summary: 'The states of a model’s versions (TensorFlow Serving).',
        responses: { 200: { description: 'The states.', schema: statusAnswer, example: STATUS_EXAMPLE } },
      },
      async (reference) => {
        const statuses = serving.status(reference).map(({ version, state, message }) => ({
          version: String(version),
          state,
          status: { error_code: message === '' ? 'OK' : 'UNKNOWN', error_message: message },
        }));
        return jsonAnswer(JSON.stringify({ model_version_status: statuses }));
      },
    ),
    ...routesOf(
      '/metadata',
      {
        method: 'GET',
        operationId: 'tensorflowMetadata',
        summary: 'The signature of a model (TensorFlow Serving).',
        responses: { 200: { description: 'The signature.', schema: metadataAnswer, example: METADATA_EXAMPLE } },
      },
      async (reference) => {
        const ready = await serving.resolve(reference, '');
        const { model, version } = ready;
        const described = signaturesOf(ready).map(([name, signature]) => [name, describeSignature(signature)]);
        const signature_def = { [SIGNATURE_DEF]: Object.fromEntries(described) as Record<string, ReturnType<typeof describeSignature>> };
        return jsonAnswer(
          JSON.stringify({
            model_spec: { name: model, signature_name: '', version: String(version) },
            metadata: { [SIGNATURE_DEF]: signature_def },
          }),
        );
      },
    ),
  ];
}
