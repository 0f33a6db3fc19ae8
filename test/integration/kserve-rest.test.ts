import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { freePort } from '../helpers/free-port.ts';
import { post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const INFER = '/v2/models/times-three/infer';

interface Answer {
  readonly id?: string;
  readonly model_name: string;
  readonly model_version: string;
  readonly outputs: { name: string; datatype: string; shape: number[]; data?: unknown[]; parameters?: { binary_data_size: number } }[];
}

function input(data: unknown, more: object = {}): string {
  return JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [3], data }], ...more });
}

function floats(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

/** A body with its JSON in front of the bytes of its binary tensors. */
function mixed(json: string, ...tensors: Buffer[]): { readonly body: Uint8Array<ArrayBuffer>; readonly headers: Record<string, string> } {
  return {
    body: new Uint8Array(Buffer.concat([Buffer.from(json), ...tensors])),
    headers: { 'inference-header-content-length': String(Buffer.byteLength(json)), 'content-type': 'application/octet-stream' },
  };
}

/** Reads an answer with binary outputs. */
async function readMixed(response: Response): Promise<{ readonly answer: Answer; readonly binary: Buffer }> {
  const bytes = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length'));
  return { answer: JSON.parse(bytes.toString('utf8', 0, length)) as Answer, binary: bytes.subarray(length) };
}

describe('the Open Inference Protocol over REST', () => {
  it('infers from JSON, flat or nested, with an id that comes back', async () => {
    const { address } = await runningServer(['times-three', 'multi']);
    const answered = await post(address, INFER, input([1, 2.5, -3], { id: '7' }));
    expect(answered.status).toBe(200);
    expect(await answered.json()).toEqual({
      id: '7',
      model_name: 'times-three',
      model_version: '1',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [3], data: [3, 7.5, -9] }],
    });
    const versioned = await post(address, '/v2/models/times-three/versions/1/infer', input([1, 2.5, -3]));
    expect(await versioned.json()).toMatchObject({ outputs: [{ data: [3, 7.5, -9] }] });
    const tensor = (name: string, data: unknown): object => ({ name, datatype: 'FP32', shape: [1, 2], data });
    const nested = { inputs: [tensor('a', [[1, 2]]), tensor('b', [10, 20])], outputs: [{ name: 'sum' }] };
    expect(await (await post(address, '/v2/models/multi/infer', JSON.stringify(nested))).json()).toMatchObject({
      outputs: [{ name: 'sum', shape: [1, 2], data: [11, 22] }],
    });
  });

  it('takes and gives binary tensors, beside JSON ones and alone', async () => {
    const { address } = await runningServer(['times-three', 'multi']);
    const json = JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [{ name: 'x', datatype: 'FP32', shape: [3], parameters: { binary_data_size: 12 } }],
    });
    const { body, headers } = mixed(json, floats(1, 2.5, -3));
    const both = await readMixed(await fetch(`${address}${INFER}`, { method: 'POST', body, headers }));
    expect(both.answer.outputs).toEqual([{ name: 'y', datatype: 'FP32', shape: [3], parameters: { binary_data_size: 12 } }]);
    expect(both.binary).toEqual(floats(3, 7.5, -9));

    const raw = new Uint8Array(floats(1, 2.5, -3));
    const alone = await fetch(`${address}${INFER}`, { method: 'POST', body: raw, headers: { 'inference-header-content-length': '0' } });
    expect((await readMixed(alone)).binary).toEqual(floats(3, 7.5, -9));

    const two = JSON.stringify({
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [1, 2], data: [1, 2] },
        { name: 'b', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
      ],
      outputs: [{ name: 'sum' }, { name: 'difference', parameters: { binary_data: true } }],
    });
    const sent = mixed(two, floats(10, 20));
    const answered = await readMixed(await fetch(`${address}/v2/models/multi/infer`, { method: 'POST', ...sent }));
    expect(answered.answer.outputs[0]).toMatchObject({ name: 'sum', data: [11, 22] });
    expect(answered.answer.outputs[1]).toMatchObject({ name: 'difference', parameters: { binary_data_size: 8 } });
    expect(answered.binary).toEqual(floats(-9, -18));
  });

  it('undoes gzip and deflate, and compresses large answers for clients that take it', async () => {
    const { address } = await runningServer(['times-three'], { limits: { maxBodyBytes: 100_000 } });
    const values = Array.from({ length: 1_000 }, (_value, index) => index);
    const plain = Buffer.from(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1_000], data: values }] }));
    const sent: [string, Buffer][] = [
      ['gzip', gzipSync(plain)],
      ['deflate', deflateSync(plain)],
      ['identity', plain],
    ];
    for (const [encoding, bytes] of sent) {
      const headers = { 'content-encoding': encoding, 'content-type': 'application/json' };
      const response = await fetch(`${address}${INFER}`, { method: 'POST', body: new Uint8Array(bytes), headers });
      // fetch asks for gzip and undoes it itself.
      expect(response.headers.get('content-encoding')).toBe('gzip');
      const { outputs } = (await response.json()) as Answer;
      expect(outputs[0]!.data).toEqual(values.map((value) => value * 3));
    }
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(10_000_000, ' ')));
    const refused = await fetch(`${address}${INFER}`, { method: 'POST', body: bomb, headers: { 'content-encoding': 'gzip' } });
    expect(refused.status).toBe(413);
    const damaged = new Uint8Array(gzipSync(plain).fill(0, 30, 40));
    const broken = await fetch(`${address}${INFER}`, { method: 'POST', body: damaged, headers: { 'content-encoding': 'gzip' } });
    expect(broken.status).toBe(400);
  });

  it('answers every error in the shape of V2, unknown paths included', async () => {
    const { address } = await runningServer(['times-three']);
    const cases: [path: string, body: string, status: number, message: RegExp][] = [
      ['/v2/models/nothing/infer', input([1, 2, 3]), 404, /"nothing"/],
      ['/v2/models/times-three/versions/9/infer', input([1, 2, 3]), 404, /9/],
      ['/v2/models/times-three/versions/one/infer', input([1, 2, 3]), 400, /"one"/],
      ['/v2/nothing', '{}', 404, /\/v2\/nothing/],
      [INFER, '{', 400, /byte/],
      [INFER, '[]', 400, /object/],
      [INFER, '{}', 400, /inputs/],
      [INFER, '{"inputs":[]}', 400, /inputs\.x/],
      [INFER, input([1, 2]), 400, /x/],
      [INFER, input([1, 2, 'a']), 400, /x/],
      [INFER, input([1, 2, 3], { outputs: [{ name: 'z' }] }), 400, /"z"/],
      [INFER, input([1, 2, 3]).replace('FP32', 'FP31'), 400, /datatype/],
      [INFER, input([1, 2, 3]).replace('FP32', 'FP16'), 400, /FP16/],
      [INFER, input([1, 2, 3]).replace('[3]', '[-3]'), 400, /shape/],
      [INFER, input([1, 2, 3]).replace('[3]', '[4611686018427387904,4]'), 400, /shape/],
    ];
    for (const [path, body, status, message] of cases) {
      const response = await post(address, path, body);
      const problem = (await response.json()) as { error: string };
      expect(response.status, body).toBe(status);
      expect(Object.keys(problem), body).toEqual(['error']);
      expect(problem.error, body).toMatch(message);
    }
    const unsupported = await fetch(`${address}/v2/systemsharedmemory/status`);
    expect(unsupported.status).toBe(501);
    expect(await unsupported.json()).toEqual({ error: expect.stringContaining('hared memory') });
    const wrongMethod = await fetch(`${address}${INFER}`);
    expect(wrongMethod.status).toBe(405);
    expect(wrongMethod.headers.get('allow')).toBe('POST');
  });

  it('describes the server and its models, loads and unloads them', async () => {
    const { address } = await runningServer(['times-three', 'digits']);
    const get = async (path: string): Promise<[number, unknown]> => {
      const response = await fetch(`${address}${path}`);
      return [response.status, await response.json()];
    };
    expect(await get('/v2')).toEqual([
      200,
      { name: 'slipway', version: '0.0.0', extensions: expect.arrayContaining(['binary_tensor_data']) },
    ]);
    expect(await get('/v2/health/live')).toEqual([200, { live: true }]);
    expect(await get('/v2/health/ready')).toEqual([200, { ready: true }]);
    expect(await get('/v2/models/digits')).toMatchObject([
      200,
      { name: 'digits', versions: ['1'], inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 28, 28] }] },
    ]);
    expect(await get('/v2/models/nothing')).toEqual([404, { error: expect.stringContaining('"nothing"') }]);
    expect(await (await post(address, '/v2/repository/index')).json()).toMatchObject([
      { name: 'digits', state: 'READY' },
      { name: 'times-three', state: 'READY' },
    ]);
    expect((await post(address, '/v2/repository/models/times-three/unload')).status).toBe(200);
    expect(await get('/v2/models/times-three/ready')).toEqual([503, { name: 'times-three', ready: false }]);
    expect((await post(address, '/v2/repository/models/times-three/load')).status).toBe(200);
    expect(await get('/v2/models/times-three/ready')).toEqual([200, { name: 'times-three', ready: true }]);
    const zeros = Array.from({ length: 784 }, () => 0);
    const image = { name: 'image', datatype: 'FP32', shape: [1, 1, 28, 28], data: zeros };
    const outputs = [{ name: 'probabilities', parameters: { classification: 2 } }];
    const classified = await post(address, '/v2/models/digits/infer', JSON.stringify({ inputs: [image], outputs }));
    const [{ datatype, shape, data }] = ((await classified.json()) as Answer).outputs as [Answer['outputs'][number]];
    expect({ datatype, shape }).toEqual({ datatype: 'BYTES', shape: [1, 2] });
    expect(data![0]).toMatch(/^0\.\d+:(\d):\1$/);
  });
});

describe('the model repository extension', () => {
  const load = (address: string, model: string, parameters: object): Promise<Response> =>
    post(address, `/v2/repository/models/${model}/load`, JSON.stringify({ parameters }));

  it('takes the files of a model with a load request, and its version policy', async () => {
    const { address, server } = await runningServer(['times-three']);
    const file = await readFile(new URL('../fixtures/models/times-three/1/model.onnx', import.meta.url));
    const content = file.toString('base64');
    const config = JSON.stringify({ name: 'sent', version_policy: { all: {} }, backend: 'onnxruntime' });
    const loaded = await load(address, 'sent', { config, 'file:1/model.onnx': content, 'file:2/model.onnx': content });
    expect(loaded.status, await loaded.text()).toBe(200);
    expect(server.registry.describe('sent')).toMatchObject({ versionPolicy: 'all', versions: [{ state: 'ready' }, { state: 'ready' }] });
    expect((await post(address, '/v2/models/sent/versions/1/infer', input([1, 2, 3]))).status).toBe(200);
    const specific = JSON.stringify({ version_policy: { specific: { versions: ['1'] } } });
    expect((await load(address, 'sent', { config: specific })).status).toBe(200);
    expect(server.registry.describe('sent')).toMatchObject({ versionPolicy: { versions: [1] }, defaultVersion: 1 });
  });

  it('keeps nothing of what it refuses', async () => {
    const { address, server, models } = await runningServer(['times-three']);
    const file = await readFile(new URL('../fixtures/models/times-three/1/model.onnx', import.meta.url));
    const content = file.toString('base64');
    const cases: [parameters: object, status: number, message: RegExp][] = [
      [{ config: '{' }, 400, /JSON/],
      [{ config: '[]' }, 400, /configuration/],
      [{ config: '{"ensemble_scheduling":{}}' }, 400, /ensemble_scheduling/],
      [{ config: '{"name":"other"}' }, 400, /"other"/],
      [{ config: '{"version_policy":{"latest":{"num_versions":0}}}' }, 400, /version_policy/],
      [{ 'file:1/model.onnx': 'not base64!' }, 400, /base64/],
      [{ 'file:1/model.onnx': 7 }, 400, /base64/],
      [{ 'file:model.onnx': content }, 400, /file:1\/model\.onnx/],
      [{ 'file:1/../../model.onnx': content }, 400, /leads out/],
      [{ 'file:1/model.onnx': Buffer.from('not a model').toString('base64') }, 400, /model\.onnx/],
      [{ 'file:1/labels.txt': content }, 400, /model/],
    ];
    for (const [parameters, status, message] of cases) {
      const response = await load(address, 'sent', parameters);
      expect(response.status, JSON.stringify(parameters)).toBe(status);
      expect(((await response.json()) as { error: string }).error).toMatch(message);
    }
    const there = await load(address, 'times-three', { 'file:1/model.onnx': content });
    expect(((await there.json()) as { error: string }).error).toContain('never overwritten');
    expect(server.registry.list().map(({ name }) => name)).toEqual(['times-three']);
    expect((await readdir(models)).filter((name) => name !== '.incoming')).toEqual(['times-three']);
    expect(await readdir(join(models, '.incoming')).catch(() => [])).toEqual([]);
  });
});

describe('the settings of protocols', () => {
  it('turn one off', async () => {
    const off = { http: false, grpc: false };
    const { address, server } = await runningServer(['times-three'], { kserve: off, tensorflowServing: off });
    expect(server.addresses).toEqual([address]);
    expect((await fetch(`${address}/v2`)).status).toBe(404);
    expect((await fetch(`${address}/v1/models/times-three`)).status).toBe(404);
    expect((await fetch(`${address}/readyz`)).status).toBe(200);
  });

  it('give one a port of its own, and turn the native one off', async () => {
    const other = await freePort();
    const { address, server } = await runningServer(['times-three'], { kserve: { httpPort: other }, native: { http: false } });
    expect(server.addresses[0]).toBe(address);
    expect(server.addresses[1]).toBe(`http://127.0.0.1:${other}`);
    expect((await fetch(`${address}/v2`)).status).toBe(404);
    expect((await post(address, '/predict', '{}')).status).toBe(404);
    expect((await fetch(`${address}/readyz`)).status).toBe(200);
    const onItsOwn = server.addresses[1]!;
    expect((await post(onItsOwn, INFER, input([1, 2, 3]))).status).toBe(200);
    expect(await (await fetch(`${onItsOwn}/readyz`)).json()).toEqual({ error: expect.stringContaining('/readyz') });
  });
});
