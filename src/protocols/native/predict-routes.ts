import type { z } from 'zod';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Inference } from '../../inference/types.ts';
import { preprocessImage } from '../../preprocessing/image.ts';
import type { TextPreprocessing } from '../../packages/manifest.ts';
import { preprocessTable } from '../../preprocessing/table.ts';
import { preprocessText } from '../../preprocessing/text.ts';
import { createTokenizer, type Tokenizer, tokenizerFilesIn } from '../../preprocessing/tokenizer.ts';
import type { ModelReference, ReadyVersion } from '../../registry/types.ts';
import type { ScannedJson } from '../../tensor/json-scanner.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { type BodyDefinition, defineRoute, type RouteAnswer, type RouteContext, type RouteDefinition } from '../http/route.ts';
import { modelParams, versionParams } from '../http/path-params.ts';
import { decodeInputs, decodePredictRequest, preprocessedInputOf, rowsIn, textsIn } from './decode-request.ts';
import { encodePredictResponse } from './encode-response.ts';
import { predictBody, predictQuery, predictResponse } from './schemas.ts';

export interface PredictRouteOptions {
  readonly inference: Inference;
  readonly maxBodyBytes: number;
  readonly maxImagePixels: number;
  readonly maxJsonDepth: number;
}

interface PathReference {
  readonly name?: string;
  readonly version?: number;
}

/** What is said in one place or another, or in both alike. */
function agreed<T>(field: string, one: T | undefined, other: T | undefined): T | undefined {
  if (one === undefined || other === undefined || one === other) return one ?? other;
  throw new SlipwayError('INVALID_REQUEST', `The request names two values for ${field}: ${String(one)} and ${String(other)}.`, {
    details: [{ path: field, message: 'is said twice, differently' }],
  });
}

/** What names the model when it is said in several places: they must not contradict each other. */
function mergeReference(
  path: PathReference,
  query: z.infer<typeof predictQuery>,
  body: { model?: string | undefined; version?: number | undefined; label?: string | undefined },
): ModelReference {
  const model = agreed('model', agreed('model', path.name, query.model), body.model);
  const version = agreed('version', agreed('version', path.version, query.version), body.version);
  const label = agreed('label', query.label, body.label);
  if (model === undefined) {
    throw new SlipwayError('INVALID_REQUEST', 'The request does not name its model: add "model" to the body, or ?model=… to the address.', {
      details: [{ path: 'model', message: 'is missing' }],
    });
  }
  if (version !== undefined && label !== undefined) {
    throw new SlipwayError('INVALID_REQUEST', 'Name a version or a label, not both.', {
      details: [{ path: 'label', message: 'excludes version' }],
    });
  }
  return { model, ...(version !== undefined && { version }), ...(label !== undefined && { label }) };
}

const PREDICT_EXAMPLE = { model: 'times-three', inputs: [1, 2, 3] };
const ANSWER_EXAMPLE = { model: 'times-three', version: 1, outputs: { y: [3, 6, 9] } };

/** `POST /predict` and the same with the model, or the model and version, in the path. */
export function createPredictRoutes(options: PredictRouteOptions): RouteDefinition[] {
  const { inference } = options;

  /** Rows of a table are made into the model's input; all else are tensors already. */
  function inputsOf(inputs: ScannedJson, version: ReadyVersion): NamedTensors {
    const { preprocessing } = version.manifest;
    const rows = preprocessing?.kind === 'table' ? rowsIn(inputs, version.signature) : undefined;
    if (preprocessing?.kind !== 'table' || rows === undefined) return decodeInputs(inputs, version.signature);
    return new Map([[preprocessedInputOf(version), preprocessTable(rows, preprocessing)]]);
  }

  /** Texts are made into token ids; a tokenizer is read with the first of them. */
  const tokenizers = new WeakMap<ReadyVersion, Promise<Tokenizer>>();
  async function inputsOfTexts(texts: readonly string[], version: ReadyVersion, preprocessing: TextPreprocessing): Promise<NamedTensors> {
    let tokenizer = tokenizers.get(version);
    if (tokenizer === undefined) {
      tokenizer = createTokenizer(preprocessing.tokenizer, tokenizerFilesIn(version.folder));
      tokenizers.set(version, tokenizer);
    }
    return preprocessText(texts, preprocessing, await tokenizer, (name) => {
      const wanted = name ?? preprocessedInputOf(version);
      return version.signature.inputs.find((each) => each.name === wanted) ?? { name: wanted, dtype: 'INT32' };
    });
  }

  async function predictFromJson(path: PathReference, context: RouteContext<unknown, z.infer<typeof predictQuery>>): Promise<RouteAnswer> {
    const { envelope, inputs } = decodePredictRequest(context.body, options.maxJsonDepth);
    const version = inference.resolve(mergeReference(path, context.query, envelope));
    const timeoutMs = envelope.parameters?.timeoutMs;
    const { preprocessing, classification } = version.manifest;
    const texts = preprocessing?.kind === 'text' ? textsIn(inputs) : undefined;
    const predict = async (tensors: NamedTensors): Promise<RouteAnswer> => {
      const response = await inference.predict(version, {
        inputs: tensors,
        outputs: envelope.outputs,
        deadline: timeoutMs === undefined ? undefined : performance.now() + timeoutMs,
        signal: context.signal,
      });
      return encodePredictResponse(response, classification);
    };
    if (preprocessing?.kind !== 'text' || texts === undefined) return predict(inputsOf(inputs, version));
    // Held from here on: the ids are those of this version's tokenizer, so a newer version must not answer in its place.
    const release = version.acquire();
    try {
      return await predict(await inputsOfTexts(texts, version, preprocessing));
    } finally {
      release();
    }
  }

  async function predictFromImage(path: PathReference, context: RouteContext<unknown, z.infer<typeof predictQuery>>): Promise<RouteAnswer> {
    const version = inference.resolve(mergeReference(path, context.query, {}));
    const { preprocessing, classification } = version.manifest;
    if (preprocessing?.kind !== 'image') {
      throw new SlipwayError(
        'NO_PREPROCESSING',
        `Model "${version.model}" does not say how to read an image; send its tensors as JSON, or add "preprocessing" to its slipway.json.`,
      );
    }
    // Held from here on: the image is made for this version's input, so a newer version must not answer in its place.
    const release = version.acquire();
    try {
      const image = await preprocessImage(context.body, preprocessing, { maxImagePixels: options.maxImagePixels });
      const response = await inference.predict(version, {
        inputs: new Map([[preprocessedInputOf(version), image]]),
        outputs: undefined,
        deadline: undefined,
        signal: context.signal,
      });
      return encodePredictResponse(response, classification);
    } finally {
      release();
    }
  }

  const body: BodyDefinition = {
    kind: 'bytes',
    maxBytes: options.maxBodyBytes,
    required: true,
    content: {
      'application/json': { schema: predictBody, example: PREDICT_EXAMPLE },
      'image/*': { description: 'An image file (PNG, JPEG, WebP, GIF), for models whose slipway.json declares image preprocessing.' },
    },
  };
  const shared = {
    method: 'POST',
    tag: 'predict',
    query: predictQuery,
    body,
    responses: { 200: { description: 'The outputs of the model.', schema: predictResponse, example: ANSWER_EXAMPLE } },
    errors: [400, 404, 409, 413, 415, 499, 500, 501, 503, 504],
  } as const;

  const handle = (path: PathReference, context: RouteContext<unknown, z.infer<typeof predictQuery>>): Promise<RouteAnswer> =>
    context.mediaType.startsWith('image/') ? predictFromImage(path, context) : predictFromJson(path, context);

  return [
    defineRoute<unknown, z.infer<typeof predictQuery>>({
      ...shared,
      path: '/predict',
      operationId: 'predict',
      summary: 'Run a model.',
      description: 'The model is named in the body, or for an image in the query.',
      handle: (context) => handle({}, context),
    }),
    defineRoute<z.infer<typeof modelParams>, z.infer<typeof predictQuery>>({
      ...shared,
      path: '/models/{name}/predict',
      operationId: 'predictModel',
      summary: 'Run a model named in the path.',
      params: modelParams,
      handle: (context) => handle({ name: context.params.name }, context),
    }),
    defineRoute<z.infer<typeof versionParams>, z.infer<typeof predictQuery>>({
      ...shared,
      path: '/models/{name}/versions/{version}/predict',
      operationId: 'predictVersion',
      summary: 'Run one version of a model.',
      params: versionParams,
      handle: (context) => handle(context.params, context),
    }),
  ];
}
