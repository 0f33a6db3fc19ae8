import type { HttpAnswer, HttpClient } from '../http-client.ts';
import { readJson } from '../json.ts';
import type { Random } from '../random.ts';
import { deepJson, HOSTILE_NUMBERS, HOSTILE_SHAPES, type MalformedSource, mutate, shown } from './malformed.ts';

interface HttpRequest {
  readonly path: string;
  readonly body: Buffer | string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Of the statuses from 500 on only this one speaks of the request: what it asks for is not served. */
const NOT_IMPLEMENTED = 501;

const LATE: ReadonlySet<number> = new Set([503, 504]);

/** @param hasMessage whether a body is an error of the protocol. */
function problemOf({ status, body }: HttpAnswer, hasMessage: (error: unknown) => boolean): string | undefined {
  if (status === 200) return undefined;
  if (status < 400 || (status >= 500 && status !== NOT_IMPLEMENTED)) return `status ${status}: ${shown(body)}`;
  try {
    const { error } = readJson(body.toString()) as { error?: unknown };
    return hasMessage(error) ? undefined : `status ${status} with a body that is no error: ${shown(body)}`;
  } catch {
    return `status ${status} with a body that is no JSON: ${shown(body)}`;
  }
}

const isText = (error: unknown): boolean => typeof error === 'string' && error !== '';
const isCoded = (error: unknown): boolean => typeof (error as { code?: unknown } | null)?.code === 'string';

function source(
  client: HttpClient,
  protocol: string,
  hasMessage: (error: unknown) => boolean,
  make: (random: Random) => HttpRequest,
): MalformedSource {
  return {
    protocol,
    next(random) {
      const { path, body, headers } = make(random);
      return {
        sent: `POST ${path} ${JSON.stringify(headers)} ${shown(body)}`,
        async send() {
          const answer = await client.request('POST', path, body, headers);
          // What asks for less time than an answer takes may be told so.
          const isLate = LATE.has(answer.status) && body.includes('timeout');
          return { status: answer.status, problem: isLate ? undefined : problemOf(answer, hasMessage) };
        },
      };
    },
  };
}

const JSON_TYPES = ['application/json', 'application/json', 'application/json', 'application/x-www-form-urlencoded'];
const CODINGS = ['gzip', 'deflate', 'br', 'identity', 'gzip, gzip', 'x'];

function randomHeaders(random: Random, type: string): Record<string, string> {
  return {
    'content-type': random.chance(0.03) ? random.pick(['', 'x', 'image/png', 'text/html;', 'application/json; charset=utf-16']) : type,
    ...(random.chance(0.05) && { 'content-encoding': random.pick(CODINGS) }),
    ...(random.chance(0.05) && { 'accept-encoding': random.pick(CODINGS) }),
  };
}

/** Any value where values stand. */
function hostileValue(random: Random): string {
  return random.pick([
    random.pick(HOSTILE_NUMBERS),
    random.pick(HOSTILE_SHAPES),
    random.chance(0.1) ? deepJson(random) : '[1,[2]]',
    '[[1,2],[3]]',
    '"text"',
    '{"b64":"aGk="}',
    '{"b64":1}',
    '{"__proto__":[1]}',
    '[1,2,3]',
    `[${Array.from({ length: random.below(200) }, () => random.pick(HOSTILE_NUMBERS)).join(',')}]`,
  ]);
}

/** A body that is in order for its model. */
interface Seed {
  readonly model: string;
  readonly text: string;
}

function hostileJson(random: Random, { text }: Seed, seeds: readonly Seed[]): string | Buffer {
  if (random.chance(0.05)) return text;
  if (random.chance(0.5)) return mutate(random, Buffer.from(text), Buffer.from(random.pick(seeds).text));
  // A value of the seed gives way to another.
  const values = [...text.matchAll(/-?\d[\d.]*|"[^"]*"|\[[^[\]]*\]|\{[^{}]*\}|true|null/g)];
  const { index = 0, 0: old = '' } = values.length === 0 ? {} : random.pick(values);
  return `${text.slice(0, index)}${hostileValue(random)}${text.slice(index + old.length)}`;
}

const STRANGE_MODELS = [
  'nothing',
  '..%2f..',
  '%00',
  'a'.repeat(600),
  '%ff',
  'times-three/versions/0',
  'times-three/versions/99999999999999999999',
];
const MODELS = ['times-three', 'multi', 'fixed', 'scalar', 'echo-bytes', 'echo-int64'];

function modelInPath(random: Random, model: string): string {
  return random.chance(0.9) ? model : random.pick([...MODELS, ...STRANGE_MODELS]);
}

const NATIVE_SEEDS: readonly Seed[] = [
  { model: 'times-three', text: '{"model":"times-three","inputs":[1,2.5,-3]}' },
  {
    model: 'multi',
    text: '{"model":"multi","version":1,"inputs":{"a":[[1,2]],"b":[[3,4]]},"outputs":["sum"],"parameters":{"timeoutMs":1000}}',
  },
  { model: 'echo-bytes', text: '{"model":"echo-bytes","inputs":["a",{"b64":"aGk="}]}' },
  { model: 'echo-int64', text: '{"model":"echo-int64","inputs":[9223372036854775807]}' },
];

const TENSORFLOW_SEEDS: readonly Seed[] = [
  { model: 'times-three', text: '{"signature_name":"serving_default","instances":[1,2.5,NaN]}' },
  { model: 'multi', text: '{"instances":[{"a":[1,2],"b":[3,4]},{"a":[1,2],"b":[3,4]}]}' },
  { model: 'times-three', text: '{"inputs":{"x":[1,2]}}' },
  { model: 'echo-bytes', text: '{"inputs":["a",{"b64":"aGk="}]}' },
  { model: 'times-three', text: '{"examples":[{"x":1},{"x":[2]}],"context":{"x":1}}' },
];

const V2_SEEDS: readonly Seed[] = [
  {
    model: 'times-three',
    text: '{"id":"1","inputs":[{"name":"x","shape":[3],"datatype":"FP32","data":[1,2,3]}],"outputs":[{"name":"y"}]}',
  },
  {
    model: 'multi',
    text: '{"inputs":[{"name":"a","shape":[1,2],"datatype":"FP32","data":[[1,2]]},{"name":"b","shape":[1,2],"datatype":"FP32","data":[1,2]}],"parameters":{"timeout":1000000,"priority":1}}',
  },
  {
    model: 'echo-bytes',
    text: '{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}',
  },
  {
    model: 'echo-bytes',
    text: '{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]},{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]}',
  },
];

const DATATYPES = ['FP32', 'FP64', 'FP16', 'BF16', 'BYTES', 'BOOL', 'INT64', 'UINT8', 'FP8', ''];

/** A V2 body with bytes behind its JSON, and a header that may not fit either. */
function v2Binary(random: Random): Omit<HttpRequest, 'path'> {
  // Most parts are in order, so that the others are reached.
  const usually = <T>(value: T, others: readonly T[]): T => (random.chance(0.8) ? value : random.pick(others));
  const bytes = random.bytes(usually(12, [0, 1, 4, 13, 64]));
  const shape = usually('[3]', HOSTILE_SHAPES);
  const tensor = (name: string): string => {
    const size = usually(String(bytes.length), HOSTILE_NUMBERS);
    return `{"name":"${name}","datatype":"${usually('FP32', DATATYPES)}","shape":${shape},"parameters":{"binary_data_size":${size}}}`;
  };
  const inputs = usually(tensor('x'), [`${tensor('x')},${tensor('x')}`, `${tensor('a')},${tensor('b')}`]);
  const json = Buffer.from(`{"parameters":{"binary_data_output":${usually('true', ['false', '1'])}},"inputs":[${inputs}]}`);
  const head = random.chance(0.3) ? mutate(random, json, json) : json;
  const length = usually<number | string>(head.length, [head.length + 1, head.length - 1, 0, -1, 2 ** 30, 2 ** 53, '1e3', 'x', ' 5', '']);
  return {
    body: Buffer.concat([head, bytes]),
    headers: { ...randomHeaders(random, 'application/octet-stream'), 'inference-header-content-length': String(length) },
  };
}

const CSV_SEEDS = ['1\n2\n3\n', '1,2,3\n4,5,6', '"a",b\n1,2', '1e400\n-0', '\n\n', '1,2\n3'];

/** Every HTTP protocol's ways to be wrong. */
export function httpSources(client: HttpClient): MalformedSource[] {
  const verbs = ['predict', 'predict', 'predict', 'regress', 'classify', 'explain'];
  return [
    source(client, 'native', isCoded, (random) => {
      const seed = random.pick(NATIVE_SEEDS);
      return {
        path: random.chance(0.8) ? '/predict' : `/models/${modelInPath(random, seed.model)}/predict`,
        body: hostileJson(random, seed, NATIVE_SEEDS),
        headers: randomHeaders(random, 'application/json'),
      };
    }),
    source(client, 'v2-rest', isText, (random) => {
      const seed = random.pick(V2_SEEDS);
      const binary = random.chance(0.5);
      return {
        path: `/v2/models/${modelInPath(random, binary ? 'times-three' : seed.model)}/infer`,
        ...(binary
          ? v2Binary(random)
          : { body: hostileJson(random, seed, V2_SEEDS), headers: randomHeaders(random, random.pick(JSON_TYPES)) }),
      };
    }),
    source(client, 'tensorflow-rest', isText, (random) => {
      const seed = random.pick(TENSORFLOW_SEEDS);
      return {
        path: `/v1/models/${modelInPath(random, seed.model)}:${random.pick(verbs)}`,
        body: hostileJson(random, seed, TENSORFLOW_SEEDS),
        headers: randomHeaders(random, random.pick(JSON_TYPES)),
      };
    }),
    source(client, 'sagemaker', isCoded, (random) => {
      const csv = random.chance(0.3);
      const seeds = [...TENSORFLOW_SEEDS, ...NATIVE_SEEDS, { model: 'times-three', text: '[1,2,3]' }];
      const seed = random.pick(seeds);
      const target = random.chance(0.9) ? seed.model : random.pick([...MODELS, 'nothing', '../x', 'a'.repeat(600)]);
      return {
        path: '/invocations',
        body: csv
          ? mutate(random, Buffer.from(random.pick(CSV_SEEDS)), Buffer.from(random.pick(CSV_SEEDS)))
          : hostileJson(random, seed, seeds),
        headers: {
          ...randomHeaders(random, csv ? 'text/csv' : 'application/json'),
          ...(random.chance(0.95) && { 'x-amzn-sagemaker-target-model': target }),
          ...(random.chance(0.2) && { accept: 'text/csv' }),
        },
      };
    }),
  ];
}
