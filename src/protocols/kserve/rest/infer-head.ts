import { invalidRequest } from '../../../errors/invalid-request.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { DType } from '../../../tensor/dtype.ts';
import { isJsonObject } from '../../../tensor/json-object.ts';
import { NumericArray, parseJson, type ScannedJson } from '../../../tensor/json-scanner.ts';
import { toPlain } from '../../../tensor/plain-json.ts';
import { tensorError } from '../../../tensor/shape.ts';
import { checkInput } from '../../http/check-input.ts';
import type { RequestedOutput } from '../infer.ts';
import { countParameter, flagParameter, refuseSharedMemory } from '../parameters.ts';
import { inferEnvelope, inputSchema } from './schemas.ts';

/** An input as the JSON of a request describes it. */
export interface InputHead {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where its elements are: so many bytes behind the JSON, or the JSON itself. */
  readonly elements: number | { readonly json: ScannedJson };
}

/** An output as REST asks for it. */
export interface RestOutput extends RequestedOutput {
  /** Undefined leaves it to the request. */
  readonly binary: boolean | undefined;
}

/** The JSON of an inference request. */
export interface InferHead {
  readonly id: string | undefined;
  readonly inputs: readonly InputHead[];
  readonly outputs: readonly RestOutput[];
  /** Whether outputs that do not say otherwise are answered in binary form. */
  readonly binaryOutputs: boolean;
  readonly timeoutUs: number | undefined;
  readonly priority: number | undefined;
}

/** A shape is checked by its schema element by element, which should not take longer than the rest of a large body. */
const MOST_DIMENSIONS = 256;

/** JSON that is longer is not remembered. */
const MOST_REMEMBERED_BYTES = 4_096;
const MOST_REMEMBERED = 256;

/** Whether a datatype has no JSON form in V2. */
export function isBinaryOnly(dtype: DType): boolean {
  return dtype === 'FP16' || dtype === 'BF16';
}

function readInput(item: ScannedJson, index: number): InputHead {
  if (!isJsonObject(item)) throw invalidRequest(`inputs[${index}]`, 'must be an object with name, datatype, shape and data');
  const { data, ...rest } = item;
  if (rest['shape'] instanceof NumericArray && rest['shape'].shape[0]! > MOST_DIMENSIONS) {
    throw invalidRequest(`inputs[${index}].shape`, `has more than ${MOST_DIMENSIONS} dimensions`);
  }
  const { name, datatype: dtype, shape, parameters } = checkInput(inputSchema, toPlain(rest), `inputs[${index}]`);
  const path = `inputs.${name}`;
  refuseSharedMemory(parameters, path);
  const size = countParameter(parameters, 'binary_data_size', `${path}.parameters`);
  if (size !== undefined) {
    if (data !== undefined) throw invalidRequest(path, 'has both data and binary_data_size; send one of them');
    return { name, dtype, shape, elements: size };
  }
  if (data === undefined) throw invalidRequest(path, 'has neither data nor binary_data_size');
  if (isBinaryOnly(dtype)) throw tensorError(path, `${dtype} has no JSON form in this protocol; send it as binary data`);
  return { name, dtype, shape, elements: { json: data } };
}

/**
 * Reads the JSON of an inference request.
 * @throws SlipwayError INVALID_JSON, INVALID_REQUEST, INVALID_TENSOR, NOT_SUPPORTED
 */
export function readInferHead(json: Buffer, maxDepth: number): InferHead {
  // Triton reads NaN and Infinity as bare words, and its clients write them so.
  const value = parseJson(json, { maxDepth, nonFinite: true });
  if (!isJsonObject(value)) throw new SlipwayError('INVALID_REQUEST', 'The body must be a JSON object with "inputs".');
  const { inputs: list, ...rest } = value;
  // An empty array is one of numbers, too.
  const items = list instanceof NumericArray && list.shape[0] === 0 ? [] : list;
  const { id, parameters, outputs } = checkInput(inferEnvelope, toPlain(rest), '');
  if (!Array.isArray(items)) throw invalidRequest('inputs', items === undefined ? 'is missing' : 'must be an array of tensors');
  const inputs = items.map(readInput);
  const names = new Set<string>();
  for (const [index, { name }] of inputs.entries()) {
    if (names.has(name)) throw invalidRequest(`inputs[${index}]`, `"${name}" is there twice`);
    names.add(name);
  }
  return {
    id,
    inputs,
    outputs: outputs.map(({ name, parameters: own }) => {
      const path = `outputs.${name}`;
      refuseSharedMemory(own, path);
      return {
        name,
        classification: countParameter(own, 'classification', `${path}.parameters`) ?? 0,
        binary: flagParameter(own, 'binary_data', `${path}.parameters`),
      };
    }),
    binaryOutputs: flagParameter(parameters, 'binary_data_output', 'parameters') ?? false,
    timeoutUs: countParameter(parameters, 'timeout', 'parameters'),
    priority: countParameter(parameters, 'priority', 'parameters'),
  };
}

/**
 * Reads the JSON of inference requests, and remembers what was read of those that have their elements behind it: a client
 * sends the same again and again, and reading it costs half of what the server does for a small request.
 */
export function createInferHeadReader(maxDepth: number): (json: Buffer) => InferHead {
  const known = new Map<string, InferHead>();
  return (json) => {
    if (json.length > MOST_REMEMBERED_BYTES) return readInferHead(json, maxDepth);
    const text = json.toString('latin1');
    const found = known.get(text);
    if (found !== undefined) return found;
    const head = readInferHead(json, maxDepth);
    // An id is another one for each request.
    if (head.id !== undefined || head.inputs.some(({ elements }) => typeof elements !== 'number')) return head;
    if (known.size === MOST_REMEMBERED) known.clear();
    known.set(text, head);
    return head;
  };
}
