import { invalidRequest } from '../../errors/invalid-request.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { TextPreprocessing } from '../../packages/manifest.ts';
import type { ReadyVersion } from '../../registry/types.ts';
import { isJsonObject, type JsonObject } from '../../tensor/json-object.ts';
import type { ScannedJson } from '../../tensor/json-scanner.ts';
import { toPlain } from '../../tensor/plain-json.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { TableRow } from '../../preprocessing/table.ts';
import type { Text } from '../../preprocessing/tokenizer.ts';
import { checkInput } from '../http/check-input.ts';
import { type PredictEnvelope, predictBody } from './schemas.ts';

export interface PredictRequest {
  readonly envelope: PredictEnvelope;
  /** The value of `inputs`, not yet read as tensors: their dtypes are the model's, which the envelope names. */
  readonly inputs: ScannedJson;
}

/** Envelopes that say no more than a model, by its name; most do. */
const namedModels = new Map<string, PredictEnvelope>();
const MOST_REMEMBERED = 1_000;

/** The model of a body that names nothing else beside its inputs. */
function onlyModelIn(body: JsonObject): string | undefined {
  for (const name in body) if (name !== 'inputs' && name !== 'model') return undefined;
  const { model } = body;
  return typeof model === 'string' ? model : undefined;
}

function readEnvelope(body: JsonObject): PredictEnvelope {
  const onlyModel = onlyModelIn(body);
  const known = onlyModel === undefined ? undefined : namedModels.get(onlyModel);
  if (known !== undefined) return known;
  const { inputs: _tensors, ...fields } = body;
  // `inputs` is there for the sake of the schema; what it holds is read by its model's signature.
  const { inputs: _inputs, ...envelope } = checkInput(predictBody, { ...(toPlain(fields) as object), inputs: null }, '');
  if (onlyModel !== undefined) {
    if (namedModels.size === MOST_REMEMBERED) namedModels.clear();
    namedModels.set(onlyModel, envelope);
  }
  return envelope;
}

/** Reads the body of a predict request: the envelope by its schema, `inputs` as scanned. */
export function decodePredictRequest(value: ScannedJson): PredictRequest {
  if (!isJsonObject(value)) {
    throw new SlipwayError('INVALID_REQUEST', 'The body must be a JSON object such as {"model":"digits","inputs":[…]}.');
  }
  const { inputs } = value;
  const envelope = readEnvelope(value);
  if (envelope.version !== undefined && envelope.label !== undefined) {
    throw new SlipwayError('INVALID_REQUEST', 'Name a version or a label, not both.', {
      details: [{ path: 'label', message: 'excludes version' }],
    });
  }
  if (inputs === undefined) {
    throw invalidRequest('inputs', 'is missing');
  }
  return { envelope, inputs };
}

/** The rows in `inputs` for a model of a table; undefined when these are its tensors, by their names or as numbers. */
export function rowsIn(inputs: ScannedJson, { inputs: specs }: Signature): TableRow[] | undefined {
  if (Array.isArray(inputs)) {
    if (!inputs.every(isJsonObject)) return undefined;
    return inputs.map((row) => toPlain(row) as TableRow);
  }
  if (!isJsonObject(inputs) || specs.some(({ name }) => Object.hasOwn(inputs, name))) return undefined;
  return [toPlain(inputs) as TableRow];
}

function isTokens(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

/**
 * The texts in `inputs`, bare or as rows with a column of texts; undefined when these are tensors. Where the tokenizer is of
 * the kind `list` a text may be the list of its tokens.
 * @throws SlipwayError INVALID_ROW for a row without its text
 */
export function textsIn(inputs: ScannedJson, { column = 'text', tokenizer }: TextPreprocessing, signature: Signature): Text[] | undefined {
  const takesTokens = tokenizer.kind === 'list';
  const isText = (value: unknown): value is Text => typeof value === 'string' || (takesTokens && isTokens(value));
  if (typeof inputs === 'string') return [inputs];
  if (Array.isArray(inputs)) {
    // A list without a token was read as one of numbers.
    const given = takesTokens ? inputs.map(toPlain) : inputs;
    if (given.every(isText)) return given as Text[];
  }
  return rowsIn(inputs, signature)?.map((row, index) => {
    const other = Object.keys(row).find((name) => name !== column);
    const text = row[column];
    if (isText(text) && other === undefined) return text;
    const message = text === undefined ? 'is missing' : `must be a text${takesTokens ? ' or a list of texts' : ''}`;
    const [name, problem] = isText(text) ? [other, `is no column of the model, which has "${column}"`] : [column, message];
    const path = `inputs[${index}].${name}`;
    throw new SlipwayError('INVALID_ROW', `${path} ${problem}.`, { details: [{ path, message: problem }] });
  });
}

/** The input that takes what is made by preprocessing. */
export function preprocessedInputOf(version: ReadyVersion): string {
  const name = version.manifest.preprocessing?.input ?? version.signature.inputs[0]?.name;
  if (name === undefined)
    throw new SlipwayError('NO_PREPROCESSING', `Model "${version.model}" has no input for what its preprocessing makes.`);
  return name;
}
