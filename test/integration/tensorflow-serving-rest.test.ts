import { describe, expect, it } from 'vitest';
import { freePort } from '../helpers/free-port.ts';
import { post } from '../helpers/http.ts';
import { node, onnxModel, type OnnxType } from '../helpers/onnx-model.ts';
import { runningServer } from '../helpers/running-server.ts';

const MODEL = '/v1/models/times-three';

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** Sends JSON as text, for what JSON.stringify cannot say. */
async function ask(address: string, path: string, body: unknown): Promise<Answer> {
  return answerOf(await post(address, path, typeof body === 'string' ? body : JSON.stringify(body)));
}

async function get(address: string, path: string): Promise<Answer> {
  return answerOf(await fetch(`${address}${path}`));
}

/** Adds a model that gives back what it gets. */
async function addEcho(
  address: string,
  name: string,
  type: OnnxType,
  output = 'y',
  shape: readonly (string | number)[] = ['n'],
): Promise<void> {
  const model = onnxModel({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: output, type, shape }],
    nodes: [node('Identity', ['x'], [output])],
  });
  const { status } = await post(address, `/models/${name}/versions`, new Uint8Array(model), 'application/onnx');
  expect(status).toBe(201);
}

describe("TensorFlow Serving's REST API: predict", () => {
  it('answers the row format by rows and the column format by columns', async () => {
    const { address } = await runningServer(['times-three', 'multi']);
    const rows = await ask(address, `${MODEL}:predict`, { signature_name: 'serving_default', instances: [1.0, 2.5, -3] });
    expect(rows).toEqual({ status: 200, type: 'application/json', text: '{"predictions":[3.0,7.5,-9.0]}' });
    expect((await ask(address, `${MODEL}:predict`, { instances: [{ x: 1 }, { x: 2 }] })).text).toBe('{"predictions":[3.0,6.0]}');
    expect((await ask(address, `${MODEL}:predict`, { inputs: [1, 2] })).text).toBe('{"outputs":[3.0,6.0]}');
    expect((await ask(address, `${MODEL}:predict`, { inputs: { x: [1, 2] } })).text).toBe('{"outputs":[3.0,6.0]}');
  });

  it('names the outputs when there are several', async () => {
    const { address } = await runningServer(['multi']);
    const path = '/v1/models/multi:predict';
    const rows = await ask(address, path, {
      instances: [
        { a: [1, 2], b: [10, 20] },
        { b: [1, 1], a: [3, 4] },
      ],
    });
    expect(rows.text).toBe('{"predictions":[{"sum":[11.0,22.0],"difference":[-9.0,-18.0]},{"sum":[4.0,5.0],"difference":[2.0,3.0]}]}');
    const columns = await ask(address, path, { inputs: { a: [[1, 2]], b: [[10, 20]] } });
    expect(columns.text).toBe('{"outputs":{"sum":[[11.0,22.0]],"difference":[[-9.0,-18.0]]}}');
  });

  it('takes a version, and a label', async () => {
    const { address } = await runningServer(['times-three']);
    const label = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"version":1}' };
    expect((await fetch(`${address}/models/times-three/labels/stable`, label)).status).toBe(200);
    for (const reference of ['/versions/1', '/labels/stable']) {
      expect((await ask(address, `${MODEL}${reference}:predict`, { instances: [1] })).text).toBe('{"predictions":[3.0]}');
      expect(JSON.parse((await get(address, `${MODEL}${reference}`)).text)).toMatchObject({ model_version_status: [{ version: '1' }] });
      expect((await get(address, `${MODEL}${reference}/metadata`)).status).toBe(200);
    }
    for (const reference of ['/versions/2', '/labels/canary']) {
      expect((await ask(address, `${MODEL}${reference}:predict`, { instances: [1] })).status).toBe(404);
      expect((await get(address, `${MODEL}${reference}`)).status).toBe(404);
      expect((await get(address, `${MODEL}${reference}/metadata`)).status).toBe(404);
    }
  });

  it('reads and writes NaN and infinities bare', async () => {
    const { address } = await runningServer(['times-three']);
    const { status, text } = await ask(address, `${MODEL}:predict`, '{"instances":[NaN, Infinity, -Infinity, 1]}');
    expect({ status, text }).toEqual({ status: 200, text: '{"predictions":[NaN,Infinity,-Infinity,3.0]}' });
  });

  it('writes floats as floats and integers as integers', async () => {
    const { address } = await runningServer([]);
    for (const type of ['FP32', 'FP64', 'INT32', 'INT64'] as const) await addEcho(address, type.toLowerCase(), type);
    const echo = async (model: string, values: string): Promise<string> =>
      (await ask(address, `/v1/models/${model}:predict`, `{"instances":${values}}`)).text.replace('{"predictions":', '').slice(0, -1);
    expect(await echo('fp32', '[0, -0.0, 3, 0.1, 9e6, 3e-5, 1e-7, 16777216]')).toBe('[0.0,-0.0,3.0,0.1,9000000.0,0.00003,1e-7,16777216.0]');
    // What is sent and what comes back are the same FP32, whatever the digits.
    for (const each of [1e30, 0.1, 1 / 3, 1e-45, 3.4e38, 123456.789]) {
      const value = Math.fround(each);
      expect(Math.fround(Number((await echo('fp32', `[${value}]`)).slice(1, -1)))).toBe(value);
    }
    expect(await echo('fp64', '[0.1, 2, 0.30000000000000004, 1e300]')).toBe('[0.1,2.0,0.30000000000000004,1e+300]');
    expect(await echo('int32', '[3, -7]')).toBe('[3,-7]');
    expect(await echo('int64', '[9007199254740993, -9223372036854775808]')).toBe('[9007199254740993,-9223372036854775808]');
  });

  it('takes bytes as b64 and as text, and gives them as b64 where the name of the output says bytes', async () => {
    const { address } = await runningServer([]);
    await addEcho(address, 'text', 'BYTES');
    await addEcho(address, 'bytes', 'BYTES', 'y_bytes');
    const instances = [{ b64: Buffer.from('hello').toString('base64') }, 'Grüße'];
    expect((await ask(address, '/v1/models/text:predict', { instances })).text).toBe('{"predictions":["hello","Grüße"]}');
    expect(JSON.parse((await ask(address, '/v1/models/bytes:predict', { instances })).text)).toEqual({
      predictions: [{ b64: 'aGVsbG8=' }, { b64: Buffer.from('Grüße').toString('base64') }],
    });
    expect((await ask(address, '/v1/models/text:predict', { instances: [{ x: { b64: 'aGVsbG8=' } }] })).text).toBe(
      '{"predictions":["hello"]}',
    );
    expect((await ask(address, '/v1/models/text:predict', { inputs: { x: [{ b64: 'aGVsbG8=' }] } })).text).toBe('{"outputs":["hello"]}');
    expect((await ask(address, '/v1/models/text:predict', { instances: [{ b64: '*' }] })).status).toBe(400);
  });

  it('has no rows for a single value, which the column format gives', async () => {
    const { address } = await runningServer(['scalar']);
    expect((await ask(address, '/v1/models/scalar:predict', { inputs: 2 })).text).toBe('{"outputs":6.0}');
    expect((await ask(address, '/v1/models/scalar:predict', { instances: [2] })).status).toBe(400);
  });

  it('refuses what it cannot read by 400 and one key, error', async () => {
    const { address } = await runningServer(['times-three']);
    for (const [what, body, message] of [
      ['neither format', {}, "Missing 'inputs' or 'instances' key."],
      ['both formats', { instances: [1], inputs: [1] }, 'excludes'],
      ['no rows', { instances: [] }, 'at least one'],
      ['rows that are no array', { instances: { x: 1 } }, 'array'],
      ['a text for a number', { instances: ['a'] }, 'FP32 takes numbers'],
      ['a null', { instances: [null] }, 'null'],
      ['ragged rows', { instances: [[1], [1, 2]] }, 'ragged'],
      ['an unknown input', { instances: [{ y: 1 }] }, 'no input "y"'],
      ['a wrong rank', { instances: [[1, 2]] }, 'x'],
      ['an unknown signature', { signature_name: 'other', instances: [1] }, 'signature "other"'],
      ['a signature that is no text', { signature_name: 1, instances: [1] }, 'signature_name'],
      ['no JSON', '{"instances": [1', 'not valid JSON'],
      ['a body that is no object', '[1]', 'object'],
      ['an empty body', '', 'JSON'],
    ] as const) {
      const { status, type, text } = await ask(address, `${MODEL}:predict`, body);
      expect({ status, type }, what).toEqual({ status: 400, type: 'application/json' });
      expect(JSON.parse(text), what).toEqual({ error: expect.stringContaining(message) });
    }
  });

  it('reads JSON whatever the client calls it, as curl does', async () => {
    const { address } = await runningServer(['times-three']);
    const response = await post(address, `${MODEL}:predict`, '{"instances":[1]}', 'application/x-www-form-urlencoded');
    expect(await response.json()).toEqual({ predictions: [3] });
  });
});

describe("TensorFlow Serving's REST API: classify and regress", () => {
  it('gives each example its classes with their scores', async () => {
    const { address } = await runningServer(['digits']);
    const examples = [{ image: Array.from({ length: 784 }, () => 0) }];
    const { status, text } = await ask(address, '/v1/models/digits:classify', { examples });
    expect(status).toBe(200);
    const { results } = JSON.parse(text) as { results: [string, number][][] };
    expect(results).toHaveLength(1);
    expect(results[0]!.map(([label]) => label)).toEqual(Array.from({ length: 10 }, (_digit, index) => String(index)));
    expect(results[0]!.reduce((sum, [, score]) => sum + score, 0)).toBeCloseTo(1, 3);
  });

  it('gives each example one value, with features that all share', async () => {
    const { address } = await runningServer(['times-three', 'state']);
    const { text } = await ask(address, `${MODEL}:regress`, { examples: [{ x: 1 }, { x: [2.5] }] });
    expect(text).toBe('{"results":[3.0,7.5]}');
    expect((await ask(address, `${MODEL}:regress`, { context: { x: 2 }, examples: [{}, { x: 1 }] })).text).toBe('{"results":[6.0,3.0]}');
    for (const body of [{}, { examples: [] }, { examples: [{}] }, { examples: [{ x: 'a' }] }, { examples: [1] }]) {
      expect((await ask(address, `${MODEL}:regress`, body)).status, JSON.stringify(body)).toBe(400);
    }
    // Two outputs, neither named by a manifest.
    expect((await ask(address, '/v1/models/state:regress', { examples: [{ x: 1, state: 1 }] })).status).toBe(400);
  });
});

describe("TensorFlow Serving's REST API: status, metadata and unknown paths", () => {
  it('tells the state of each version', async () => {
    const { address } = await runningServer(['times-three', 'broken-onnx']);
    const { status, type, text } = await get(address, MODEL);
    expect({ status, type }).toEqual({ status: 200, type: 'application/json' });
    expect(JSON.parse(text)).toEqual({
      model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }],
    });
    expect(JSON.parse((await get(address, '/v1/models/broken-onnx')).text)).toMatchObject({
      model_version_status: [
        { version: '1', state: 'END', status: { error_code: 'UNKNOWN', error_message: expect.stringContaining('model.onnx') } },
      ],
    });
    await post(address, '/models/times-three/unload');
    expect(JSON.parse((await get(address, MODEL)).text)).toMatchObject({ model_version_status: [{ version: '1', state: 'END' }] });
  });

  it('describes the signature', async () => {
    const { address } = await runningServer(['times-three']);
    const info = (name: string): object => ({
      dtype: 'DT_FLOAT',
      tensor_shape: { dim: [{ size: '-1', name: '' }], unknown_rank: false },
      name: `${name}:0`,
    });
    expect(JSON.parse((await get(address, `${MODEL}/metadata`)).text)).toEqual({
      model_spec: { name: 'times-three', signature_name: '', version: '1' },
      metadata: {
        signature_def: {
          signature_def: {
            serving_default: { inputs: { x: info('x') }, outputs: { y: info('y') }, method_name: 'tensorflow/serving/predict' },
          },
        },
      },
    });
  });

  it('answers what there is not by 404, and what it does not understand by 400', async () => {
    const { address } = await runningServer(['times-three']);
    for (const [method, path, expected] of [
      ['POST', '/v1/models/nothing:predict', 404],
      ['GET', '/v1/models/nothing', 404],
      ['GET', '/v1/models/nothing/metadata', 404],
      ['POST', `${MODEL}/versions/7:predict`, 404],
      ['POST', `${MODEL}/versions/seven:predict`, 400],
      ['GET', `${MODEL}/versions/seven`, 400],
      ['GET', `${MODEL}:predict`, 400],
      ['POST', `${MODEL}:explain`, 400],
      ['POST', MODEL, 400],
      ['POST', '/v1/models', 400],
      ['GET', '/v1', 400],
      ['GET', '/v1/anything/else', 400],
      ['GET', '/v1x', 404],
    ] as const) {
      const body = method === 'POST' ? { body: '{"instances":[1]}', headers: { 'content-type': 'application/json' } } : {};
      const response = await fetch(`${address}${path}`, { method, ...body });
      expect(response.status, `${method} ${path}`).toBe(expected);
      const isMalformed = path.endsWith('else') || path.endsWith(':explain') || `${method} ${path}` === `GET ${MODEL}:predict`;
      const error = isMalformed ? `Malformed request: ${method} ${path}` : expect.any(String);
      if (path !== '/v1x') expect(await response.json()).toEqual({ error });
    }
  });

  it('answers on a port of its own with its own errors, and not at all when turned off', async () => {
    const own = await runningServer(['times-three'], { tensorflowServing: { httpPort: await freePort() } });
    const address = own.server.addresses.find((each) => each.startsWith('http') && each !== own.address)!;
    expect((await ask(address, `${MODEL}:predict`, { instances: [1] })).text).toBe('{"predictions":[3.0]}');
    expect((await ask(own.address, `${MODEL}:predict`, { instances: [1] })).status).toBe(404);
    expect(JSON.parse((await get(address, '/else')).text)).toEqual({ error: expect.any(String) });
    const off = await runningServer(['times-three'], { tensorflowServing: { http: false } });
    expect((await ask(off.address, `${MODEL}:predict`, { instances: [1] })).status).toBe(404);
  });
});
