import { SlipwayError } from '../../../errors/slipway-error.ts';
import { decodeBinaryTensor } from '../../../tensor/binary.ts';
import { type DType, DTYPES } from '../../../tensor/dtype.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import type { InferRequest } from '../infer.ts';
import { countParameter, type Parameters, refuseSharedMemory } from '../parameters.ts';
import { decodeContents, hasContents } from './contents.ts';
import type { InferInputTensor, InferParameter, InferParameters, Long, ModelInferRequest } from './messages.ts';

function invalid(path: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `${path}: ${problem}.`, { details: [{ path, message: problem }] });
}

function longValue(long: Long): number | bigint {
  const value = long.toNumber();
  return Number.isSafeInteger(value) ? value : BigInt(String(long));
}

function parameterValue({ bool_param, int64_param, string_param, double_param, uint64_param }: InferParameter): unknown {
  const long = int64_param ?? uint64_param;
  return long === undefined ? (bool_param ?? string_param ?? double_param) : longValue(long);
}

function parametersOf(parameters: InferParameters): Parameters {
  return Object.fromEntries(Object.entries(parameters).map(([name, parameter]) => [name, parameterValue(parameter)]));
}

function dtypeOf(datatype: string, path: string): DType {
  const dtype = DTYPES.find((each) => each === datatype);
  if (dtype === undefined) throw invalid(path, `"${datatype}" is not a datatype; those are ${DTYPES.join(', ')}`);
  return dtype;
}

function decodeInput({ datatype = '', shape: longs, parameters, contents }: InferInputTensor, raw: Buffer | undefined, path: string): Tensor {
  refuseSharedMemory(parameters, path);
  const dtype = dtypeOf(datatype, path);
  const shape = longs.map((long) => long.toNumber());
  // The message belongs to this request alone, so its memory may be shared.
  return raw === undefined ? decodeContents(contents, dtype, shape, path) : decodeBinaryTensor(raw, dtype, shape, path, { copy: false });
}

/**
 * Reads an inference request with raw or typed tensors.
 * @throws SlipwayError INVALID_REQUEST, INVALID_TENSOR, NOT_SUPPORTED
 */
export function decodeInferRequest({ inputs: tensors, outputs, parameters, raw_input_contents: raw }: ModelInferRequest): InferRequest {
  if (raw.length > 0) {
    const both = tensors.find(({ contents }) => hasContents(contents));
    if (both !== undefined) throw invalid(`inputs.${both.name ?? ''}`, 'has contents, but the request has raw_input_contents; send one of them');
    if (raw.length !== tensors.length) throw invalid('raw_input_contents', `has ${raw.length} entries for ${tensors.length} inputs`);
  }
  const inputs = new Map<string, Tensor>();
  for (const [index, tensor] of tensors.entries()) {
    const { name = '' } = tensor;
    if (inputs.has(name)) throw invalid(`inputs[${index}]`, `"${name}" is there twice`);
    inputs.set(name, decodeInput(tensor, raw[index], `inputs.${name}`));
  }
  return {
    inputs,
    outputs: outputs.map(({ name = '', parameters: own }) => {
      refuseSharedMemory(own, `outputs.${name}`);
      return { name, classification: countParameter(parametersOf(own), 'classification', `outputs.${name}.parameters`) ?? 0 };
    }),
    timeoutUs: countParameter(parametersOf(parameters), 'timeout', 'parameters'),
  };
}
