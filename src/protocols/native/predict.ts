import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller, Inference } from '../../inference/types.ts';
import type { TextPreprocessing } from '../../packages/manifest.ts';
import { preprocessImage } from '../../preprocessing/image.ts';
import { preprocessTable, type TableRow } from '../../preprocessing/table.ts';
import { preprocessText, tokensToLabel } from '../../preprocessing/text.ts';
import { createTokenizer, type Text, type Tokenizer, tokenizerFilesIn } from '../../preprocessing/tokenizer.ts';
import type { ModelReference, ReadyVersion } from '../../registry/types.ts';
import type { ScannedJson } from '../../tensor/json-scanner.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import type { RouteAnswer } from '../http/route.ts';
import { decodeInputs } from '../../tensor/json-inputs.ts';
import { decodePredictRequest, preprocessedInputOf, rowsIn, textsIn } from './decode-request.ts';
import { encodePredictResponse } from './encode-response.ts';

export interface PredictOptions {
  readonly inference: Inference;
  readonly maxImagePixels: number;
}

/** What one part of a request says of the model that is to answer. */
export interface SaidReference {
  readonly model?: string | undefined;
  readonly version?: number | undefined;
  readonly label?: string | undefined;
}

/** A predict request of the native API, from wherever it came. */
export interface Predict {
  /**
   * @param body as parsed; its envelope and its tensors are read here.
   * @param said what other parts of the request say of the model.
   */
  fromJson(body: ScannedJson, said: readonly SaidReference[], caller: Caller): Promise<RouteAnswer>;
  fromImage(image: Buffer, said: readonly SaidReference[], caller: Caller): Promise<RouteAnswer>;
}

function checkAgrees(field: keyof SaidReference, one: string | number, other: string | number): void {
  if (other === one) return;
  throw new SlipwayError('INVALID_REQUEST', `The request names two values for ${field}: ${one} and ${other}.`, {
    details: [{ path: field, message: 'is said twice, differently' }],
  });
}

/** What names the model when it is said in several places: they must not contradict each other. */
function mergeReference(said: readonly SaidReference[]): ModelReference {
  let model: string | undefined;
  let version: number | undefined;
  let label: string | undefined;
  for (const each of said) {
    if (each.model !== undefined) checkAgrees('model', (model ??= each.model), each.model);
    if (each.version !== undefined) checkAgrees('version', (version ??= each.version), each.version);
    if (each.label !== undefined) checkAgrees('label', (label ??= each.label), each.label);
  }
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
  if (version === undefined && label === undefined) return { model };
  return { model, ...(version !== undefined && { version }), ...(label !== undefined && { label }) };
}

/** The input that is made of rows; undefined for models that are not of a table, and for what is no rows. */
export function tableInputs(rows: readonly TableRow[] | undefined, version: ReadyVersion): NamedTensors | undefined {
  const { preprocessing } = version.manifest;
  if (preprocessing?.kind !== 'table' || rows === undefined) return undefined;
  return new Map([[preprocessedInputOf(version), preprocessTable(rows, preprocessing)]]);
}

/** Rows of a table are made into the model's input; all else are tensors already. */
function inputsOf(inputs: ScannedJson, version: ReadyVersion): NamedTensors {
  const rows = version.manifest.preprocessing?.kind === 'table' ? rowsIn(inputs, version.signature) : undefined;
  return tableInputs(rows, version) ?? decodeInputs(inputs, version.signature);
}

export function createPredict({ inference, maxImagePixels }: PredictOptions): Predict {
  /** Texts are made into token ids; a tokenizer is read with the first of them. */
  const tokenizers = new WeakMap<ReadyVersion, Promise<Tokenizer>>();
  async function inputsOfTexts(texts: readonly Text[], version: ReadyVersion, preprocessing: TextPreprocessing): Promise<NamedTensors> {
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

  async function fromJson(body: ScannedJson, said: readonly SaidReference[], caller: Caller): Promise<RouteAnswer> {
    const { envelope, inputs } = decodePredictRequest(body);
    const { timeoutMs, priority } = envelope.parameters ?? {};
    const { client, signal } = caller;
    const deadline = timeoutMs === undefined ? caller.deadline : Math.min(caller.deadline ?? Infinity, performance.now() + timeoutMs);
    const version = await inference.resolve(mergeReference([...said, envelope]), caller, deadline === undefined ? {} : { deadline });
    const { preprocessing, classification } = version.manifest;
    const texts = preprocessing?.kind === 'text' ? textsIn(inputs, preprocessing, version.signature) : undefined;
    const { outputs } = envelope;
    if (preprocessing?.kind !== 'text' || texts === undefined) {
      const tensors = inputsOf(inputs, version);
      return encodePredictResponse(
        await inference.predict(version, { inputs: tensors, outputs, client, deadline, signal, priority }),
        classification,
      );
    }
    // Held from here on: the ids are those of this version's tokenizer, so a newer version must not answer in its place.
    const release = version.acquire();
    try {
      const isLabelled = classification?.of === 'token' && preprocessing.tokenizer.kind === 'list';
      const tokens = isLabelled ? tokensToLabel(texts, preprocessing) : undefined;
      const tensors = await inputsOfTexts(tokens ?? texts, version, preprocessing);
      return encodePredictResponse(
        await inference.predict(version, { inputs: tensors, outputs, client, deadline, signal, priority }),
        classification,
        tokens,
      );
    } finally {
      release();
    }
  }

  async function fromImage(body: Buffer, said: readonly SaidReference[], caller: Caller): Promise<RouteAnswer> {
    const version = await inference.resolve(mergeReference(said), caller);
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
      const image = await preprocessImage(body, preprocessing, { maxImagePixels });
      const response = await inference.predict(version, {
        inputs: new Map([[preprocessedInputOf(version), image]]),
        outputs: undefined,
        ...caller,
      });
      return encodePredictResponse(response, classification);
    } finally {
      release();
    }
  }

  return { fromJson, fromImage };
}
