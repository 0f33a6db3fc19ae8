import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { tarOf } from '../helpers/archives.ts';
import { freePort } from '../helpers/free-port.ts';
import { failureOf, post } from '../helpers/http.ts';
import { node, onnxModel } from '../helpers/onnx-model.ts';
import { runningServer } from '../helpers/running-server.ts';

interface Sent {
  readonly type?: string;
  readonly target?: string;
  readonly accept?: string;
}

function invoke(address: string, body: unknown, { type = 'application/json', target, accept }: Sent = {}): Promise<Response> {
  return fetch(`${address}/invocations`, {
    method: 'POST',
    headers: {
      'content-type': type,
      'X-Amzn-SageMaker-Custom-Attributes': 'trace=1',
      ...(target !== undefined && { 'X-Amzn-SageMaker-Target-Model': target }),
      ...(accept !== undefined && { accept }),
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function textOf(response: Promise<Response>): Promise<string> {
  const answer = await response;
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  return text;
}

/** Gives its input back, so that its answer shows what was made of the rows. */
const wine = onnxModel({
  inputs: [{ name: 'features', type: 'FP32', shape: ['batch', 3] }],
  outputs: [{ name: 'out', type: 'FP32', shape: ['batch', 3] }],
  nodes: [node('Identity', ['features'], ['out'])],
});
const table = {
  preprocessing: {
    kind: 'table',
    columns: [
      { kind: 'number', name: 'alcohol', mean: 13, std: 2 },
      { kind: 'category', name: 'colour', categories: ['red', 'white, dry'] },
    ],
  },
};

describe('SageMaker', () => {
  it('is pinged, and says no when the server stops', async () => {
    const { address, server } = await runningServer(['times-three'], { shutdown: { unreadyMs: 1_000 } });
    const alive = await fetch(`${address}/ping`);
    expect({ status: alive.status, text: await alive.text() }).toEqual({ status: 200, text: '' });
    void server.stop();
    expect((await fetch(`${address}/ping`)).status).toBe(503);
  });

  it('invokes the only model with the JSON of TensorFlow Serving, of a bare array and of the native API', async () => {
    const { address } = await runningServer(['times-three']);
    expect(await textOf(invoke(address, { instances: [1, 2.5] }))).toBe('{"predictions":[3.0,7.5]}');
    expect(await textOf(invoke(address, [1, 2.5]))).toBe('{"predictions":[3.0,7.5]}');
    expect(await textOf(invoke(address, { inputs: { x: [1] } }))).toBe('{"outputs":[3.0]}');
    expect(JSON.parse(await textOf(invoke(address, { inputs: [1], outputs: ['y'] })))).toEqual({
      model: 'times-three',
      version: 1,
      outputs: { y: [3] },
    });
    expect(JSON.parse(await textOf(invoke(address, { model: 'times-three', inputs: [1] })))).toMatchObject({ outputs: { y: [3] } });
  });

  it('takes the model from the header, else from the setting', async () => {
    const { address } = await runningServer(['times-three', 'fixed', 'times-three as other'], { sagemaker: { defaultModel: 'other' } });
    const values = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    expect(await textOf(invoke(address, { inputs: values }, { target: 'fixed' }))).toBe('{"outputs":[[3.0,6.0,9.0],[12.0,15.0,18.0]]}');
    expect(await textOf(invoke(address, { inputs: values }, { target: '/fixed.tar.gz' }))).toContain('18.0');
    expect(JSON.parse(await textOf(invoke(address, { inputs: [1], parameters: {} })))).toMatchObject({ model: 'other' });
    expect(await failureOf(await invoke(address, [1], { target: 'nothing' }))).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND' });
    expect(await failureOf(await invoke(address, { model: 'other', inputs: [1] }, { target: 'fixed' }))).toMatchObject({ status: 400 });
    const several = await runningServer(['times-three', 'fixed']);
    expect(await failureOf(await invoke(several.address, [1]))).toMatchObject({
      status: 400,
      message: expect.stringContaining('X-Amzn-SageMaker-Target-Model'),
    });
  });

  it('takes rows of numbers as CSV, and gives CSV to those who accept it', async () => {
    const { address } = await runningServer(['times-three', 'fixed', 'dtypes', 'multi']);
    const csv = (body: string, target: string, accept?: string): Promise<Response> =>
      invoke(address, body, { type: 'text/csv', target, ...(accept !== undefined && { accept }) });
    expect(await textOf(csv('1\n2.5\r\n-3e0\n', 'times-three'))).toBe('{"predictions":[3.0,7.5,-9.0]}');
    expect(await textOf(csv('1,2, 3\n4,5,6', 'fixed', 'text/csv'))).toBe('3.0,6.0,9.0\n12.0,15.0,18.0\n');
    expect(await textOf(csv('1\n2', 'times-three', 'text/csv; charset=utf-8'))).toBe('3.0\n6.0\n');
    for (const [body, message] of [
      ['', 'no rows'],
      ['1\nx', 'Row 2'],
      ['1,2\n3', 'ragged'],
      ['1,,2', 'empty cells'],
      ['1],[2', 'Row 1'],
    ] as const) {
      const failure = await failureOf(await csv(body, 'times-three'));
      expect(failure, body).toMatchObject({ status: 400, message: expect.stringContaining(message) });
    }
    expect(await failureOf(await csv('1,2', 'multi'))).toMatchObject({ status: 400, code: 'INPUT_MISMATCH' });
  });

  it('takes rows of a table as CSV, with a header or without, and as instances', async () => {
    const { address } = await runningServer([]);
    const archive = await tarOf({ 'model.onnx': Buffer.from(wine), 'slipway.json': JSON.stringify(table) });
    expect((await post(address, '/models/wine/versions', new Uint8Array(archive), 'application/x-tar')).status).toBe(201);
    const csv = (body: string): Promise<Response> => invoke(address, body, { type: 'text/csv' });
    expect(await textOf(csv('15,red\n13,"white, dry"\n'))).toBe('{"predictions":[[1.0,1.0,0.0],[0.0,0.0,1.0]]}');
    expect(await textOf(csv('colour,alcohol\nred,15'))).toBe('{"predictions":[[1.0,1.0,0.0]]}');
    expect(await textOf(invoke(address, { instances: [{ alcohol: 15, colour: 'red' }] }))).toBe('{"predictions":[[1.0,1.0,0.0]]}');
    for (const [body, message] of [
      ['15,red,1', 'Row 1 of the CSV has 3 columns'],
      ['15,pink', 'none of its categories'],
      ['x,red', 'must be a number'],
      ['15,"red', 'not valid CSV'],
    ] as const) {
      const failure = await failureOf(await csv(body));
      expect(failure, body).toMatchObject({ status: 400, message: expect.stringContaining(message) });
    }
  });

  it('takes images, and refuses what it does not read', async () => {
    const { address } = await runningServer(['digits', 'times-three']);
    const image = await fetch(`${address}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-image', 'x-amzn-sagemaker-target-model': 'digits' },
      body: new Uint8Array(await readFile('test/fixtures/images/seven.png')),
    });
    expect(await image.json()).toMatchObject({ predictions: [{ label: '7' }] });
    expect(await failureOf(await invoke(address, '<a/>', { type: 'application/xml', target: 'digits' }))).toMatchObject({ status: 415 });
    expect(await failureOf(await invoke(address, '{"instances":', { target: 'digits' }))).toMatchObject({
      status: 400,
      code: 'INVALID_JSON',
    });
    expect(await failureOf(await invoke(address, {}, { target: 'digits' }))).toMatchObject({ status: 400 });
    expect((await fetch(`${address}/invocations`)).status).toBe(405);
  });

  it('has a port of its own, or is turned off', async () => {
    const port = await freePort();
    const own = await runningServer(['times-three'], { sagemaker: { httpPort: port } });
    expect(await textOf(invoke(`http://127.0.0.1:${port}`, [1]))).toBe('{"predictions":[3.0]}');
    expect((await fetch(`${own.address}/ping`)).status).toBe(404);
    const off = await runningServer(['times-three'], { sagemaker: { http: false } });
    expect((await fetch(`${off.address}/ping`)).status).toBe(404);
  });
});
