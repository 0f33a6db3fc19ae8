import { isUtf8 } from 'node:buffer';
import type { HttpAnswer, HttpClient } from '../http-client.ts';
import { isNestable, type Json, nestedText, readJson, readTensor } from '../json.ts';
import type { InferRequest, Outcome, Outputs, Route } from '../route.ts';
import { elementsOf, isFloat, rowsOf } from '../tensor.ts';

export const JSON_TYPE = { 'content-type': 'application/json' };
export type JsonObject = { [key: string]: Json };

/** @param isError what an error's message is in a body of the protocol. */
export function failure({ status, body }: HttpAnswer, messageOf: (body: JsonObject) => Json | undefined): Outcome {
  const message = messageOf(readJson(body.toString()) as JsonObject);
  if (typeof message !== 'string' || message === '') throw new Error(`an error without a message: ${body.toString()}`);
  return { status, message };
}

function isFinite(request: InferRequest): boolean {
  return request.inputs.every(
    ([, tensor]) => !isFloat(tensor.dtype) || elementsOf(tensor).every((element) => Number.isFinite(element as number)),
  );
}

export function isText(request: InferRequest): boolean {
  return request.inputs.every(([, tensor]) => tensor.dtype !== 'BYTES' || (elementsOf(tensor) as Buffer[]).every((each) => isUtf8(each)));
}

function namedText(request: InferRequest): string {
  return `{${request.inputs.map(([name, tensor]) => `${JSON.stringify(name)}:${nestedText(tensor, 'either')}`).join(',')}}`;
}

function areNestable({ inputs }: InferRequest): boolean {
  return inputs.every(([, { shape }]) => isNestable(shape));
}

/** Slipway's own API. */
export function nativeRoute(client: HttpClient): Route {
  return {
    name: 'native JSON',
    protocol: 'native',
    says: ['names', 'shapes'],
    statuses: { invalid_argument: 400, not_found: 404, failed_precondition: 409 },
    // Strict JSON both ways.
    carries: (request) => areNestable(request) && isFinite(request),
    async send(request) {
      const { model, version, outputs } = request;
      const head = { model, ...(version !== undefined && { version }), ...(outputs && { outputs }) };
      const body = `${JSON.stringify(head).slice(0, -1)},"inputs":${namedText(request)}}`;
      const answer = await client.request('POST', '/predict', body, JSON_TYPE);
      if (answer.status !== 200) return failure(answer, nativeMessage);
      const { outputs: given } = readJson(answer.body.toString()) as { outputs: JsonObject };
      return { outputs: readNamed(given, request) };
    },
  };
}

function readNamed(given: JsonObject, { outputTypes }: InferRequest): Outputs {
  return new Map(Object.entries(given).map(([name, value]) => [name, readTensor(value, outputTypes[name]!)]));
}

/** One output stands alone, several have their names. */
function readColumns(value: Json, request: InferRequest): Outputs {
  const [only, ...more] = Object.entries(request.outputTypes);
  if (only !== undefined && more.length === 0) return new Map([[only[0], readTensor(value, only[1])]]);
  return readNamed(value as JsonObject, request);
}

/** Entries with a value for each output. */
function readRows(value: Json, request: InferRequest): Outputs {
  const names = Object.keys(request.outputTypes);
  if (names.length === 1) return readColumns(value, request);
  const rows = value as JsonObject[];
  return readNamed(Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name]!)])), request);
}

function rowsText({ inputs }: InferRequest): string {
  const [first, ...more] = inputs;
  if (first === undefined || more.length === 0) return first === undefined ? '[]' : nestedText(first[1], 'either');
  const columns = inputs.map(([name, tensor]) => ({ key: JSON.stringify(name), rows: rowsOf(tensor) }));
  const entries = rowsOf(first[1]).map(
    (_row, index) => `{${columns.map(({ key, rows }) => `${key}:${nestedText(rows[index]!, 'either')}`).join(',')}}`,
  );
  return `[${entries.join(',')}]`;
}

/** Every tensor has a first dimension, they are of one size, and it is not 0. */
function hasRows({ inputs }: InferRequest): boolean {
  const sizes = new Set(inputs.map(([, { shape }]) => shape[0]));
  const [size] = sizes;
  return sizes.size === 1 && size !== undefined && size > 0;
}

const TENSORFLOW_STATUSES = { invalid_argument: 400, not_found: 404, failed_precondition: 400 };

/** @param format by rows, `instances`, or by columns, `inputs`. */
export function tensorFlowRoute(client: HttpClient, format: 'row' | 'column'): Route {
  return {
    name: `TensorFlow Serving REST, ${format}s`,
    protocol: 'tensorflow-rest',
    says: format === 'column' ? ['names', 'shapes'] : ['shapes'],
    statuses: TENSORFLOW_STATUSES,
    // It has no way to ask for outputs.
    carries: (request) => request.outputs === undefined && areNestable(request) && (format === 'column' || hasRows(request)),
    async send(request) {
      const { model, version } = request;
      const path = `/v1/models/${model}${version === undefined ? '' : `/versions/${version}`}:predict`;
      const body = format === 'row' ? `{"instances":${rowsText(request)}}` : `{"inputs":${namedText(request)}}`;
      return readTensorFlow(await client.request('POST', path, body, JSON_TYPE), request, ({ error }) => error);
    },
  };
}

function readTensorFlow(answer: HttpAnswer, request: InferRequest, messageOf: (body: JsonObject) => Json | undefined): Outcome {
  if (answer.status !== 200) return failure(answer, messageOf);
  const { predictions, outputs } = readJson(answer.body.toString()) as JsonObject;
  return { outputs: predictions === undefined ? readColumns(outputs!, request) : readRows(predictions, request) };
}

const SAGEMAKER_STATUSES = { invalid_argument: 400, not_found: 404, failed_precondition: 409 };
const targetOf = (model: string): Readonly<Record<string, string>> => ({ 'x-amzn-sagemaker-target-model': model });
const nativeMessage = ({ error }: JsonObject): Json | undefined => (error as JsonObject | undefined)?.['message'];

/** SageMaker's `/invocations` with instances. */
export function sagemakerRoute(client: HttpClient): Route {
  return {
    name: 'SageMaker JSON',
    protocol: 'sagemaker',
    says: ['shapes'],
    statuses: SAGEMAKER_STATUSES,
    carries: (request) => request.outputs === undefined && request.version === undefined && areNestable(request) && hasRows(request),
    async send(request) {
      const headers = { ...JSON_TYPE, ...targetOf(request.model) };
      const answer = await client.request('POST', '/invocations', `{"instances":${rowsText(request)}}`, headers);
      return readTensorFlow(answer, request, nativeMessage);
    },
  };
}

/** SageMaker's `/invocations` with rows of numbers. */
export function sagemakerCsvRoute(client: HttpClient): Route {
  return {
    name: 'SageMaker CSV',
    protocol: 'sagemaker',
    says: [],
    statuses: SAGEMAKER_STATUSES,
    carries(request) {
      const [only, ...more] = request.inputs;
      if (only === undefined || more.length > 0 || request.outputs !== undefined || request.version !== undefined) return false;
      const [, { dtype, shape }] = only;
      return shape.length === 2 && !shape.includes(0) && dtype !== 'BYTES' && dtype !== 'BOOL' && isFinite(request);
    },
    async send(request) {
      const text = nestedText(request.inputs[0]![1], 'either').slice(2, -2).replaceAll('],[', '\n');
      const answer = await client.request('POST', '/invocations', text, { 'content-type': 'text/csv', ...targetOf(request.model) });
      return readTensorFlow(answer, request, nativeMessage);
    },
  };
}
