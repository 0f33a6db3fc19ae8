import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/packages/safetensors/write.ts';
import { decodeWeights } from '../../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../../src/packages/tfjs/model-file.ts';
import { tarGzOf } from '../helpers/archives.ts';
import { slipway } from '../helpers/cli.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { denseLayer, sequentialTopology } from '../helpers/tfjs-model.ts';

async function packageOf(address: string, model: string): Promise<Buffer> {
  const answer = await fetch(`${address}/models/${model}/versions/1/package?format=safetensors`);
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

async function upload(address: string, model: string, archive: Buffer): Promise<Response> {
  return fetch(`${address}/models/${model}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/gzip' },
    body: new Uint8Array(archive),
  });
}

describe('safetensors', () => {
  it('go out of one model and into another, to the bit', async () => {
    const { address } = await runningServer(['digits-layers']);
    const archive = await packageOf(address, 'digits-layers');
    expect((await packageOf(address, 'digits-layers')).equals(archive)).toBe(true);
    expect((await upload(address, 'again', archive)).status).toBe(201);
    const version = (await (await fetch(`${address}/models/again/versions/1`)).json()) as object;
    expect(version).toMatchObject({
      format: 'safetensors',
      engine: 'onnx',
      engineReason: expect.stringMatching(/^Compiled from safetensors to ONNX; checked/),
    });
    expect((await packageOf(address, 'again')).equals(archive)).toBe(true);
    const image = Array.from({ length: 28 }, (_, y) => Array.from({ length: 28 }, (__, x) => [(x * y) / 729]));
    const ask = async (model: string): Promise<unknown> => {
      const { outputs } = (await (await post(address, '/predict', JSON.stringify({ model, inputs: [image] }))).json()) as {
        outputs: unknown;
      };
      return outputs;
    };
    expect(await ask('again')).toEqual(await ask('digits-layers'));

    const out = join(await temporaryFolder(), 'weights.tar.gz');
    const run = await slipway(['package', 'export', 'again/1', '--format', 'safetensors', '--server', address, '--out', out]);
    expect(run.status).toBe(0);
  });

  it('that do not fit the layers beside them are refused by name', async () => {
    const { address } = await runningServer([]);
    const layers = JSON.stringify({
      modelTopology: sequentialTopology([denseLayer('dense', 3, { batch_input_shape: [null, 2], use_bias: true })]),
    });
    const problemOf = async (shapes: Readonly<Record<string, readonly number[]>>): Promise<string> => {
      const specs = Object.entries(shapes).map(([name, shape]): WeightSpec => ({ name, shape: [...shape], dtype: 'float32' }));
      const data = specs.map(({ shape }) => new Float32Array(shape.reduce((product, size) => product * size, 1)).buffer);
      const file = writeSafetensors(decodeWeights({ specs, data }));
      const { code, message } = await failureOf(
        await upload(address, 'dense', await tarGzOf({ 'model.json': layers, 'model.safetensors': file })),
      );
      expect(code).toBe('INVALID_MODEL');
      return message;
    };
    expect(await problemOf({ 'dense/kernel': [2, 3] })).toMatch(/"?dense\/bias"?/);
    expect(await problemOf({ 'dense/kernel': [2, 3], 'dense/bias': [3], 'other/kernel': [1] })).toMatch(/other\/kernel/);
    expect(await problemOf({ 'dense/kernel': [3, 2], 'dense/bias': [3] })).toMatch(/dense\/kernel.*\[3, ?2\].*\[2, ?3\]/);
    expect((await fetch(`${address}/models/dense`)).status).toBe(404);
  });

  it('are not made of other formats', async () => {
    const { address } = await runningServer(['times-three']);
    const answer = await fetch(`${address}/models/times-three/versions/1/package?format=safetensors`);
    expect(await failureOf(answer)).toMatchObject({
      status: 501,
      code: 'NOT_SUPPORTED',
      message: 'The version is a onnx model; TF.js layers models alone can be had as safetensors.',
    });
  });
});
