import type { GrpcAnswer, GrpcClient, Message } from '../grpc-client.ts';
import type { Random } from '../random.ts';
import { type MalformedOutcome, type MalformedSource, mutate, shown } from './malformed.ts';

/** Codes that speak of the request: INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED. */
const CLIENT_CODES: ReadonlySet<number> = new Set([3, 5, 8, 9, 12]);

/** DEADLINE_EXCEEDED and UNAVAILABLE. */
const LATE_CODES: ReadonlySet<number> = new Set([4, 14]);

function outcomeOf(answer: GrpcAnswer, request: Buffer): MalformedOutcome {
  if (!('status' in answer)) return { status: 0, problem: undefined };
  const { status, message } = answer;
  // What asks for less time than an answer takes may be told so.
  const isLate = LATE_CODES.has(status) && request.includes('timeout');
  if (!isLate && !CLIENT_CODES.has(status)) return { status, problem: `status ${status}: ${message}` };
  return { status, problem: message === '' ? `status ${status} without a message` : undefined };
}

function source(client: GrpcClient, protocol: string, make: (random: Random) => readonly [path: string, request: Buffer]): MalformedSource {
  return {
    protocol,
    next(random) {
      const [path, request] = make(random);
      return { sent: `${path} ${shown(request)}`, send: async () => outcomeOf(await client.call(path, request), request) };
    },
  };
}

const SIZES = ['-1', '0', '1', '3', '4', '1000000', '1073741824', '94906267', '9223372036854775807'];
const MODELS = ['multi', 'fixed', 'echo-bytes', 'echo-int64', 'nothing', '', '../x'];

/** Most fields are in order, so that the others are reached: what is wrong first hides the rest. */
function usually<T>(random: Random, value: T, others: readonly T[]): T {
  return random.chance(0.85) ? value : random.pick(others);
}

function sizes(random: Random): string[] {
  return random.chance(0.8) ? ['3'] : Array.from({ length: random.below(4) }, () => random.pick(SIZES));
}

const DATATYPES = ['FP64', 'FP16', 'BF16', 'INT64', 'BYTES', 'BOOL', 'x', ''];

const CONTENTS: readonly Message[] = [
  {},
  { fp32_contents: [1, 2, 3, 4] },
  { fp64_contents: [1, 2, 3] },
  { int64_contents: ['1', '9223372036854775807', '-1'] },
  { bytes_contents: [Buffer.from('a'), Buffer.alloc(0), Buffer.of(0xff)] },
  { bool_contents: [true, false, true], fp32_contents: [1] },
];

const CLASSIFIED = { name: 'y', parameters: { classification: { int64_param: '99' } } };

function v2Request(random: Random): Message {
  const names = usually(random, ['x'], [['x', 'x'], ['a', 'b'], [], ['']]);
  const raw = random.chance(0.4) ? names.map(() => random.bytes(usually(random, 12, [0, 4, 13, 24]))) : [];
  return {
    model_name: usually(random, 'times-three', MODELS),
    model_version: usually(random, '', ['1', '2', '-1', 'x', '9'.repeat(30)]),
    id: random.pick(['', 'a']),
    parameters: usually<Message>(random, {}, [
      { timeout: { int64_param: '-1' } },
      { priority: { string_param: 'x' } },
      { timeout: { int64_param: '10000000' } },
    ]),
    inputs: names.map((name) => ({
      name,
      datatype: usually(random, 'FP32', DATATYPES),
      shape: sizes(random),
      ...((raw.length === 0 || random.chance(0.1)) && { contents: usually(random, { fp32_contents: [1, 2, 3] }, CONTENTS) }),
    })),
    outputs: usually<Message[]>(random, [], [[{ name: 'y' }], [{ name: 'y' }, { name: 'y' }], [CLASSIFIED], [{ name: 'z' }]]),
    raw_input_contents: random.chance(0.05) ? [...raw, Buffer.of(1)] : raw,
  };
}

const DATA_TYPES = ['DT_DOUBLE', 'DT_HALF', 'DT_BFLOAT16', 'DT_STRING', 'DT_INT64', 'DT_BOOL', 'DT_INVALID'];

function tensorProto(random: Random): Message {
  return {
    dtype: usually(random, 'DT_FLOAT', DATA_TYPES),
    tensor_shape: { dim: sizes(random).map((size) => ({ size })), unknown_rank: random.chance(0.02) },
    ...usually<Message>(random, { float_val: [1, 2, 3] }, [
      {},
      { float_val: [1] },
      { tensor_content: random.bytes(random.pick([0, 1, 12, 12, 13])) },
      { tensor_content: random.bytes(12), float_val: [1, 2, 3] },
      { string_val: [Buffer.from('a'), Buffer.of(0xff)] },
      { int64_val: ['1', '-1'] },
      { half_val: [1, 70_000] },
    ]),
  };
}

function tensorFlowSpec(random: Random): Message {
  return {
    name: usually(random, 'times-three', MODELS),
    ...usually<Message>(random, {}, [{ version: { value: random.pick(['1', '0', '-5', '9223372036854775807']) } }, { version_label: 'x' }]),
    signature_name: usually(random, '', ['serving_default', 'x']),
  };
}

function predictRequest(random: Random): Message {
  const names = usually(random, ['x'], [['a', 'b'], [], ['']]);
  return {
    model_spec: tensorFlowSpec(random),
    inputs: Object.fromEntries(names.map((name) => [name, tensorProto(random)])),
    output_filter: usually(random, [], [['y'], ['y', 'y'], ['nothing']]),
  };
}

function examplesRequest(random: Random): Message {
  const feature = usually<Message>(random, { float_list: { value: [1] } }, [
    { int64_list: { value: ['1'] } },
    { bytes_list: { value: [Buffer.of(1)] } },
    { float_list: { value: [1, 2] } },
    {},
  ]);
  const example = { features: { feature: { x: feature } } };
  return {
    model_spec: tensorFlowSpec(random),
    input: usually<Message>(random, { example_list: { examples: [example, example] } }, [
      { example_list_with_context: { examples: [{}, example], context: example } },
      {},
    ]),
  };
}

/** Mostly a message of fields that do not fit each other; often with its bytes cut or changed. */
function bytesOf(random: Random, client: GrpcClient, type: string, make: (random: Random) => Message): Buffer {
  const bytes = client.encode(type, make(random));
  return random.chance(0.5) ? mutate(random, bytes, client.encode(type, make(random))) : bytes;
}

/** Both gRPC protocols' ways to be wrong. */
export function grpcSources(client: GrpcClient): MalformedSource[] {
  return [
    source(client, 'v2-grpc', (random) => [
      '/inference.GRPCInferenceService/ModelInfer',
      bytesOf(random, client, 'inference.ModelInferRequest', v2Request),
    ]),
    source(client, 'tensorflow-grpc', (random) => {
      if (random.chance(0.7)) {
        return [
          '/tensorflow.serving.PredictionService/Predict',
          bytesOf(random, client, 'tensorflow.serving.PredictRequest', predictRequest),
        ];
      }
      const [method, type] = random.pick([
        ['Classify', 'ClassificationRequest'],
        ['Regress', 'RegressionRequest'],
      ] as const);
      return [`/tensorflow.serving.PredictionService/${method}`, bytesOf(random, client, `tensorflow.serving.${type}`, examplesRequest)];
    }),
  ];
}
