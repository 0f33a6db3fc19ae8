import { isUtf8 } from 'node:buffer';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { encodeBinaryTensor } from '../../../tensor/binary.ts';
import { encodeJsonTensor } from '../../../tensor/json-encode.ts';
import type { Signature } from '../../../tensor/signature.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import type { RouteAnswer } from '../../http/route.ts';
import type { InferAnswer } from '../infer.ts';
import type { RestInferRequest } from './decode-infer.ts';
import { isBinaryOnly } from './infer-head.ts';

/** Whether an output is answered in binary form. */
function isBinary(name: string, { outputs, binaryOutputs }: RestInferRequest): boolean {
  return outputs.find((output) => output.name === name)?.binary ?? binaryOutputs;
}

function binaryNeeded(name: string, why: string): SlipwayError {
  return new SlipwayError(
    'INVALID_REQUEST',
    `The output "${name}" ${why}; ask for it in binary form ("parameters":{"binary_data":true}).`,
    {
      details: [{ path: `outputs.${name}`, message: why }],
    },
  );
}

/**
 * Refuses a request for outputs that have no JSON form, before the model runs.
 * @throws SlipwayError INVALID_REQUEST
 */
export function checkOutputForms(request: RestInferRequest, signature: Signature): void {
  for (const { name, dtype } of signature.outputs) {
    if (!isBinaryOnly(dtype) || isBinary(name, request)) continue;
    const asked = request.outputs.find((output) => output.name === name);
    const wanted = request.outputs.length === 0 || (asked !== undefined && asked.classification === 0);
    if (wanted) throw binaryNeeded(name, `is ${dtype}, which has no JSON form in this protocol`);
  }
}

function dataText(name: string, tensor: Tensor): string {
  if (tensor.dtype === 'BYTES' && !(tensor.data as readonly Uint8Array[]).every((element) => isUtf8(element))) {
    throw binaryNeeded(name, 'has elements that are not UTF-8 text');
  }
  return encodeJsonTensor(tensor, { flat: true });
}

/**
 * Writes the answer: as JSON, or when an output is binary, as JSON with the bytes of the binary outputs behind it.
 * Numbers that JSON cannot say (NaN, ±Infinity) are null; the binary form has them.
 * @throws SlipwayError INVALID_REQUEST for BYTES that are not UTF-8 and were not asked for in binary form.
 */
export function encodeInferAnswer(answer: InferAnswer, request: RestInferRequest): RouteAnswer {
  const { model, version, outputs } = answer;
  let texts = '';
  const chunks: Uint8Array[] = [];
  for (const [name, tensor] of outputs) {
    const head = `${texts === '' ? '' : ','}{"name":${JSON.stringify(name)},"datatype":"${tensor.dtype}","shape":[${tensor.shape.join(',')}]`;
    if (isBinary(name, request)) {
      const bytes = encodeBinaryTensor(tensor);
      chunks.push(bytes);
      texts += `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
    } else texts += `${head},"data":${dataText(name, tensor)}}`;
  }
  const id = request.id === undefined ? '' : `"id":${JSON.stringify(request.id)},`;
  const json = `{${id}"model_name":${JSON.stringify(model)},"model_version":"${version}","outputs":[${texts}]}`;
  if (chunks.length === 0) return { status: 200, contentType: 'application/json', inference: answer, payload: json };
  const header = Buffer.from(json, 'utf8');
  return {
    status: 200,
    contentType: 'application/octet-stream',
    inference: answer,
    headers: { 'inference-header-content-length': String(header.length) },
    payload: Buffer.concat([header, ...chunks]),
  };
}
