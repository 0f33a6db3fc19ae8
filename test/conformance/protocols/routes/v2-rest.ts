import type { HttpAnswer, HttpClient } from '../http-client.ts';
import { flatText, type Json, nestedText, readJson, readTensor } from '../json.ts';
import type { InferRequest, Outcome, Outputs, Route } from '../route.ts';
import type { DType, Tensor } from '../tensor.ts';
import { failure, isText, JSON_TYPE, type JsonObject } from './json-routes.ts';

const HEADER_LENGTH = 'inference-header-content-length';

interface AnsweredOutput {
  readonly name: string;
  readonly datatype: DType;
  readonly shape: number[];
  readonly data?: Json;
  readonly parameters?: { readonly binary_data_size?: number };
}

function readAnswer({ headers, body }: HttpAnswer): Outputs {
  const length = headers[HEADER_LENGTH] === undefined ? body.length : Number(headers[HEADER_LENGTH]);
  const { outputs } = readJson(body.toString('utf8', 0, length)) as unknown as { outputs: AnsweredOutput[] };
  let at = length;
  const read = outputs.map(({ name, datatype, shape, data, parameters }): [string, ReturnType<typeof readTensor> | Tensor] => {
    const size = parameters?.binary_data_size;
    if (size === undefined) return [name, readTensor(data!, datatype, shape)];
    at += size;
    return [name, { dtype: datatype, shape, bytes: body.subarray(at - size, at) }];
  });
  if (at !== body.length) throw new Error(`the answer has ${body.length - at} bytes behind its last tensor`);
  return new Map(read);
}

async function infer(
  client: HttpClient,
  { model, version }: InferRequest,
  body: Buffer | string,
  headers: Record<string, string>,
): Promise<Outcome> {
  const path = `/v2/models/${model}${version === undefined ? '' : `/versions/${version}`}/infer`;
  const answer = await client.request('POST', path, body, headers);
  return answer.status === 200 ? { outputs: readAnswer(answer) } : failure(answer, ({ error }: JsonObject) => error);
}

const STATUSES = { invalid_argument: 400, not_found: 404, failed_precondition: 400 };

function head([name, { dtype, shape }]: InferRequest['inputs'][number]): object {
  return { name, datatype: dtype, shape };
}

function outputsOf(request: InferRequest): object {
  return request.outputs === undefined ? {} : { outputs: request.outputs.map((name) => ({ name })) };
}

/** FP16 has no JSON form in V2. */
function hasJsonForm(request: InferRequest): boolean {
  const types = [...request.inputs.map(([, { dtype }]) => dtype), ...Object.values(request.outputTypes)];
  return !types.includes('FP16') && isText(request);
}

export function v2JsonRoute(client: HttpClient, form: 'flat' | 'nested'): Route {
  return {
    name: `V2 REST, ${form} JSON`,
    protocol: 'v2-rest',
    says: ['types', 'names', 'shapes'],
    statuses: STATUSES,
    carries: hasJsonForm,
    send(request) {
      const inputs = request.inputs.map((input) => {
        const data = form === 'flat' ? flatText(input[1], 'text') : nestedText(input[1], 'text');
        return `${JSON.stringify(head(input)).slice(0, -1)},"data":${data}}`;
      });
      const rest = JSON.stringify(outputsOf(request)).slice(1);
      return infer(client, request, `{"inputs":[${inputs.join(',')}]${rest === '}' ? '}' : `,${rest}`}`, JSON_TYPE);
    },
  };
}

export function v2BinaryRoute(client: HttpClient): Route {
  return {
    name: 'V2 REST, binary',
    protocol: 'v2-rest',
    says: ['types', 'names', 'shapes'],
    statuses: STATUSES,
    carries: () => true,
    send(request) {
      const json = Buffer.from(
        JSON.stringify({
          parameters: { binary_data_output: true },
          inputs: request.inputs.map((input) => ({ ...head(input), parameters: { binary_data_size: input[1].bytes.length } })),
          ...outputsOf(request),
        }),
      );
      const headers = { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(json.length) };
      return infer(client, request, Buffer.concat([json, ...request.inputs.map(([, { bytes }]) => bytes)]), headers);
    },
  };
}
