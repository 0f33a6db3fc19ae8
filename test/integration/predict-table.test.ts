import { describe, expect, it } from 'vitest';
import { tarOf } from '../helpers/archives.ts';
import { failureOf, post } from '../helpers/http.ts';
import { node, onnxModel } from '../helpers/onnx-model.ts';
import { runningServer } from '../helpers/running-server.ts';

const manifest = {
  preprocessing: {
    kind: 'table',
    columns: [
      { kind: 'number', name: 'alcohol', mean: 13, std: 2 },
      { kind: 'category', name: 'colour', categories: ['red', 'white'] },
    ],
  },
  classification: { labels: ['a', 'b', 'c'] },
};

/** A model that gives its input back, so that its answer shows what preprocessing made. */
const echo = onnxModel({
  inputs: [{ name: 'features', type: 'FP32', shape: ['batch', 3] }],
  outputs: [{ name: 'out', type: 'FP32', shape: ['batch', 3] }],
  nodes: [node('Identity', ['features'], ['out'])],
});

async function serverWithTable(): Promise<string> {
  const { address } = await runningServer([]);
  const archive = await tarOf({ 'model.onnx': Buffer.from(echo), 'slipway.json': JSON.stringify(manifest) });
  expect((await post(address, '/models/wine/versions', new Uint8Array(archive), 'application/x-tar')).status).toBe(201);
  return address;
}

function predict(address: string, inputs: unknown): Promise<Response> {
  return post(address, '/predict', JSON.stringify({ model: 'wine', inputs }));
}

describe('predicting from rows of a table', () => {
  it('takes rows, one row, and still tensors', async () => {
    const address = await serverWithTable();
    const rows = await predict(address, [
      { alcohol: 14, colour: 'white' },
      { colour: 'red', alcohol: 13 },
    ]);
    expect(await rows.json()).toMatchObject({
      outputs: {
        out: [
          [0.5, 0, 1],
          [0, 1, 0],
        ],
      },
      predictions: [{ label: 'c' }, { label: 'b' }],
    });
    expect(await (await predict(address, { alcohol: 15, colour: 'red' })).json()).toMatchObject({ outputs: { out: [[1, 1, 0]] } });
    expect(await (await predict(address, [[1, 2, 3]])).json()).toMatchObject({ outputs: { out: [[1, 2, 3]] } });
    expect(await (await predict(address, { features: [[1, 2, 3]] })).json()).toMatchObject({ outputs: { out: [[1, 2, 3]] } });
  });

  it('says which columns are missing, unknown or wrong', async () => {
    const address = await serverWithTable();
    const refused = await failureOf(await predict(address, [{ alcohol: 'much', colour: 'rosé', price: 3 }]));
    expect(refused).toMatchObject({ status: 400, code: 'INVALID_ROW' });
    expect(refused.details.map(({ path }) => path)).toEqual(['inputs[0].alcohol', 'inputs[0].colour', 'inputs[0].price']);
    expect(await failureOf(await predict(address, [{ colour: 'red' }]))).toMatchObject({
      code: 'INVALID_ROW',
      message: 'inputs[0].alcohol is missing.',
    });
    const image = await post(address, '/predict?model=wine', new Uint8Array([1]), 'image/png');
    expect(await failureOf(image)).toMatchObject({ status: 409, code: 'NO_PREPROCESSING' });
  });
});
