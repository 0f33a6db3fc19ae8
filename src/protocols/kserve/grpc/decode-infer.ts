import { invalidRequest } from '../../../errors/invalid-request.ts';
import { decodeBinaryTensor } from '../../../tensor/binary.ts';
import { type DType, DTYPES } from '../../../tensor/dtype.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import type { InferRequest } from '../infer.ts';
import { countParameter, refuseSharedMemory } from '../parameters.ts';
import { decodeContents } from './contents.ts';
import type { InferInputTensor, ModelInferRequest } from './messages.ts';

function dtypeOf(datatype: string, path: string): DType {
  const dtype = DTYPES.find((each) => each === datatype);
  if (dtype === undefined) throw invalidRequest(path, `"${datatype}" is not a datatype; those are ${DTYPES.join(', ')}`);
  return dtype;
}

function decodeInput({ datatype, shape, parameters, contents }: InferInputTensor, raw: Buffer | undefined, path: string): Tensor {
  refuseSharedMemory(parameters, path);
  const dtype = dtypeOf(datatype, path);
  // The message belongs to this request alone, so its memory may be shared.
  return raw === undefined ? decodeContents(contents, dtype, shape, path) : decodeBinaryTensor(raw, dtype, shape, path, { copy: false });
}

/**
 * Reads the tensors of an inference request, raw or typed.
 * @throws SlipwayError INVALID_REQUEST, INVALID_TENSOR, NOT_SUPPORTED
 */
export function decodeInferRequest({ inputs: tensors, outputs, parameters, rawInputContents: raw }: ModelInferRequest): InferRequest {
  if (raw.length > 0) {
    const both = tensors.find(({ contents }) => contents.length > 0);
    if (both !== undefined)
      throw invalidRequest(`inputs.${both.name}`, 'has contents, but the request has raw_input_contents; send one of them');
    if (raw.length !== tensors.length) throw invalidRequest('raw_input_contents', `has ${raw.length} entries for ${tensors.length} inputs`);
  }
  const inputs = new Map<string, Tensor>();
  for (const [index, tensor] of tensors.entries()) {
    const { name } = tensor;
    if (inputs.has(name)) throw invalidRequest(`inputs[${index}]`, `"${name}" is there twice`);
    inputs.set(name, decodeInput(tensor, raw[index], `inputs.${name}`));
  }
  return {
    inputs,
    outputs: outputs.map(({ name, parameters: own }) => {
      refuseSharedMemory(own, `outputs.${name}`);
      return { name, classification: countParameter(own, 'classification', `outputs.${name}.parameters`) ?? 0 };
    }),
    timeoutUs: countParameter(parameters, 'timeout', 'parameters'),
    priority: countParameter(parameters, 'priority', 'parameters'),
  };
}
