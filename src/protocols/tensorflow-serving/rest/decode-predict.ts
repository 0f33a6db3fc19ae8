import { SlipwayError } from '../../../errors/slipway-error.ts';
import { base64Of, decodeJsonTensor } from '../../../tensor/json-decode.ts';
import { NumericArray } from '../../../tensor/numeric-array.ts';
import type { ScannedJson } from '../../../tensor/scanned-json.ts';
import type { Signature, TensorSpec } from '../../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';
import { invalidRequest } from '../../../errors/invalid-request.ts';
import { isJsonObject, type JsonObject } from '../../../tensor/json-object.ts';

/** In the row format each entry is one example, in the column format each tensor is a batch. */
export type PredictFormat = 'row' | 'column';

/** An object of named values; one with the key `b64` alone is a value itself. */
function isNamed(value: ScannedJson | undefined): value is JsonObject {
  return isJsonObject(value) && base64Of(value) === undefined;
}

function onlyInput({ inputs }: Signature, path: string): TensorSpec {
  const [only, ...more] = inputs;
  if (only !== undefined && more.length === 0) return only;
  const names = inputs.map(({ name }) => `"${name}"`).join(', ');
  throw new SlipwayError('INPUT_MISMATCH', `The model has ${inputs.length} inputs (${names}); ${path} must name them.`, {
    details: [{ path, message: `must name ${names}` }],
  });
}

function decode(value: ScannedJson, { name, dtype }: TensorSpec, path: string): [string, Tensor] {
  return [name, decodeJsonTensor(value, { dtype, path })];
}

function specOf({ inputs }: Signature, name: string, path: string): TensorSpec {
  const spec = inputs.find((each) => each.name === name);
  if (spec !== undefined) return spec;
  const names = inputs.map((each) => `"${each.name}"`).join(', ');
  throw new SlipwayError('INPUT_MISMATCH', `The model has no input "${name}"; it has ${names}.`, {
    details: [{ path: `${path}.${name}`, message: 'is not an input of the model' }],
  });
}

/** Entries that are objects: the values of each input from one after the other. */
function decodeNamedRows(rows: readonly ScannedJson[], signature: Signature): NamedTensors {
  const names = Object.keys(rows[0] as JsonObject);
  const columns = new Map(names.map((name) => [name, [] as ScannedJson[]]));
  for (const [index, row] of rows.entries()) {
    if (!isNamed(row)) throw invalidRequest(`instances[${index}]`, 'is not an object where the first entry is one');
    const given = Object.keys(row);
    if (given.length !== names.length)
      throw invalidRequest(`instances[${index}]`, `has ${given.length} names where the first entry has ${names.length}`);
    for (const name of given) {
      const column = columns.get(name);
      if (column === undefined) throw invalidRequest(`instances[${index}]`, `has "${name}", which the first entry does not have`);
      column.push(row[name]!);
    }
  }
  return new Map([...columns].map(([name, column]) => decode(column, specOf(signature, name, 'instances'), `instances.${name}`)));
}

function decodeRows(instances: ScannedJson, signature: Signature): NamedTensors {
  const size = instances instanceof NumericArray ? instances.shape[0] : Array.isArray(instances) ? instances.length : undefined;
  if (size === undefined || size === 0) throw invalidRequest('instances', 'must be an array with at least one entry');
  if (Array.isArray(instances) && isNamed(instances[0])) return decodeNamedRows(instances, signature);
  return new Map([decode(instances, onlyInput(signature, 'instances'), 'instances')]);
}

function decodeColumns(inputs: ScannedJson, signature: Signature): NamedTensors {
  if (!isNamed(inputs)) return new Map([decode(inputs, onlyInput(signature, 'inputs'), 'inputs')]);
  return new Map(Object.entries(inputs).map(([name, value]) => decode(value, specOf(signature, name, 'inputs'), `inputs.${name}`)));
}

/** Which format a body has. @throws SlipwayError INVALID_REQUEST when it has none, or both. */
export function formatOf({ instances, inputs }: JsonObject): PredictFormat {
  if (instances !== undefined && inputs !== undefined) throw invalidRequest('inputs', "excludes 'instances'; send one of them");
  if (instances !== undefined) return 'row';
  if (inputs !== undefined) return 'column';
  throw new SlipwayError('INVALID_REQUEST', "Missing 'inputs' or 'instances' key.", {
    details: [{ path: 'instances', message: 'is missing' }],
  });
}

/**
 * Reads the tensors of a predict request as those of a signature.
 * @throws SlipwayError INVALID_REQUEST, INVALID_TENSOR, INPUT_MISMATCH
 */
export function decodePredict(fields: JsonObject, format: PredictFormat, signature: Signature): NamedTensors {
  return format === 'row' ? decodeRows(fields['instances']!, signature) : decodeColumns(fields['inputs']!, signature);
}
