import { decodeBinaryTensor } from '../../../tensor/binary.ts';
import { decodeJsonTensor } from '../../../tensor/json-decode.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import type { InferRequest } from '../infer.ts';
import { type BinaryPart, createBinaryPart } from './binary-part.ts';
import type { InferHead, InputHead, RestOutput } from './infer-head.ts';

export interface RestInferRequest extends InferRequest {
  readonly id: string | undefined;
  readonly outputs: readonly RestOutput[];
  /** Whether outputs that do not say otherwise are answered in binary form. */
  readonly binaryOutputs: boolean;
}

function decodeInput({ name, dtype, shape, elements }: InputHead, binary: BinaryPart): Tensor {
  const path = `inputs.${name}`;
  if (typeof elements !== 'number') return decodeJsonTensor(elements.json, { dtype, path, shape });
  // The body belongs to this request alone, so its memory may be shared.
  return decodeBinaryTensor(binary.take(elements, path), dtype, shape, path, { copy: false });
}

/**
 * Reads the tensors of an inference request.
 * @param head the JSON part of the body, read.
 * @param binary what follows it.
 * @throws SlipwayError INVALID_REQUEST, INVALID_TENSOR
 */
export function decodeInferRequest(head: InferHead, binary: Buffer): RestInferRequest {
  const { id, outputs, binaryOutputs, timeoutUs, priority } = head;
  const part = createBinaryPart(binary);
  const inputs = new Map<string, Tensor>();
  for (const input of head.inputs) inputs.set(input.name, decodeInput(input, part));
  part.end();
  return { id, inputs, outputs, binaryOutputs, timeoutUs, priority };
}
