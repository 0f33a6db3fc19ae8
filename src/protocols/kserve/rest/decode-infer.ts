import { SlipwayError } from '../../../errors/slipway-error.ts';
import { decodeBinaryTensor } from '../../../tensor/binary.ts';
import type { DType } from '../../../tensor/dtype.ts';
import { decodeJsonTensor } from '../../../tensor/json-decode.ts';
import { NumericArray, parseJson, type ScannedJson } from '../../../tensor/json-scanner.ts';
import { toPlain } from '../../../tensor/plain-json.ts';
import { tensorError } from '../../../tensor/shape.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import { checkInput } from '../../http/check-input.ts';
import type { InferRequest, RequestedOutput } from '../infer.ts';
import { countParameter, flagParameter, refuseSharedMemory } from '../parameters.ts';
import { type BinaryPart, createBinaryPart } from './binary-part.ts';
import { inferEnvelope, inputSchema } from './schemas.ts';

/** An output as REST asks for it. */
interface RestOutput extends RequestedOutput {
  /** Undefined leaves it to the request. */
  readonly binary: boolean | undefined;
}

export interface RestInferRequest extends InferRequest {
  readonly id: string | undefined;
  readonly outputs: readonly RestOutput[];
  /** Whether outputs that do not say otherwise are answered in binary form. */
  readonly binaryOutputs: boolean;
}

/** A shape is checked by its schema element by element, which should not take longer than the rest of a large body. */
const MOST_DIMENSIONS = 256;

type JsonObject = { readonly [key: string]: ScannedJson };

function isObject(value: ScannedJson | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumericArray);
}

function invalid(path: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `${path}: ${problem}.`, { details: [{ path, message: problem }] });
}

/** Whether a datatype has no JSON form in V2. */
export function isBinaryOnly(dtype: DType): boolean {
  return dtype === 'FP16' || dtype === 'BF16';
}

function decodeInput(item: ScannedJson, index: number, binary: BinaryPart): [string, Tensor] {
  if (!isObject(item)) throw invalid(`inputs[${index}]`, 'must be an object with name, datatype, shape and data');
  const { data, ...rest } = item;
  if (rest['shape'] instanceof NumericArray && rest['shape'].shape[0]! > MOST_DIMENSIONS) {
    throw invalid(`inputs[${index}].shape`, `has more than ${MOST_DIMENSIONS} dimensions`);
  }
  const { name, datatype: dtype, shape, parameters } = checkInput(inputSchema, toPlain(rest), `inputs[${index}]`);
  const path = `inputs.${name}`;
  refuseSharedMemory(parameters, path);
  const size = countParameter(parameters, 'binary_data_size', `${path}.parameters`);
  if (size !== undefined) {
    if (data !== undefined) throw invalid(path, 'has both data and binary_data_size; send one of them');
    // The body belongs to this request alone, so its memory may be shared.
    return [name, decodeBinaryTensor(binary.take(size, path), dtype, shape, path, { copy: false })];
  }
  if (data === undefined) throw invalid(path, 'has neither data nor binary_data_size');
  if (isBinaryOnly(dtype)) throw tensorError(path, `${dtype} has no JSON form in this protocol; send it as binary data`);
  return [name, decodeJsonTensor(data, { dtype, path, shape })];
}

/**
 * Reads an inference request.
 * @param json the JSON part of the body.
 * @param binary what follows it.
 * @throws SlipwayError INVALID_JSON, INVALID_REQUEST, INVALID_TENSOR, NOT_SUPPORTED
 */
export function decodeInferRequest(json: Buffer, binary: Buffer, maxDepth: number): RestInferRequest {
  // Triton reads NaN and Infinity as bare words, and its clients write them so.
  const value = parseJson(json, { maxDepth, nonFinite: true });
  if (!isObject(value)) throw new SlipwayError('INVALID_REQUEST', 'The body must be a JSON object with "inputs".');
  const { inputs: list, ...rest } = value;
  // An empty array is one of numbers, too.
  const items = list instanceof NumericArray && list.shape[0] === 0 ? [] : list;
  const { id, parameters, outputs } = checkInput(inferEnvelope, toPlain(rest), '');
  if (!Array.isArray(items)) throw invalid('inputs', items === undefined ? 'is missing' : 'must be an array of tensors');

  const part = createBinaryPart(binary);
  const inputs = new Map<string, Tensor>();
  for (const [index, item] of items.entries()) {
    const [name, tensor] = decodeInput(item, index, part);
    if (inputs.has(name)) throw invalid(`inputs[${index}]`, `"${name}" is there twice`);
    inputs.set(name, tensor);
  }
  part.end();

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
