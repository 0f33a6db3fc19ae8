import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { slipway } from '../helpers/cli.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const FILES = fileURLToPath(new URL('../fixtures/keras/', import.meta.url));

interface Numbers {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** What Keras gave, made by scripts/fixtures/keras_files.py. */
const golden = (
  JSON.parse(await readFile(join(FILES, 'files.json'), 'utf8')) as {
    models: Readonly<Record<string, { readonly inputs: Readonly<Record<string, Numbers>>; readonly outputs: readonly [Numbers] }>>;
  }
).models;

/** Asks a server for what Keras gave for the model `late`. */
async function expectAnswers(address: string, model: string): Promise<void> {
  const { inputs, outputs } = golden['late']!;
  const { shape, values } = inputs['late']!;
  const body = JSON.stringify({ inputs: [{ name: 'input_layer', datatype: 'FP32', shape, data: values }] });
  const answer = await post(address, `/v2/models/${model}/infer`, body);
  const { outputs: found } = (await answer.json()) as {
    outputs: readonly { readonly shape: readonly number[]; readonly data: number[] }[];
  };
  expect(found[0]!.shape).toEqual(outputs[0].shape);
  for (const [index, value] of outputs[0].values.entries()) expect(Math.abs(found[0]!.data[index]! - value)).toBeLessThan(1e-5);
}

describe('models of Keras 3', () => {
  it('are served from the model folder, compiled, and downloaded as ONNX', async () => {
    const models = join(await temporaryFolder(), 'models');
    for (const name of ['late', 'sequences']) {
      await mkdir(join(models, name, '1'), { recursive: true });
      await cp(join(FILES, `${name}.keras`), join(models, name, '1/model.keras'));
    }
    const { address } = await runningServer([], { models });
    await expectAnswers(address, 'late');
    const version = (await (await fetch(`${address}/models/sequences/versions/1`)).json()) as object;
    expect(version).toMatchObject({
      state: 'ready',
      format: 'keras',
      engine: 'onnx',
      engineReason: expect.stringMatching(/^Compiled from keras to ONNX/),
    });
    expect((await fetch(`${address}/models/late/versions/1/package?format=onnx`)).status).toBe(200);
  });

  it('are uploaded as they are, by the route and by the command', async () => {
    const { address } = await runningServer([]);
    const answer = await fetch(`${address}/models/late/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: await readFile(join(FILES, 'late.keras')),
    });
    expect(answer.status).toBe(201);
    await expectAnswers(address, 'late');
    const { status, out } = await slipway(['package', 'import', join(FILES, 'late.keras'), '--model', 'other', '--server', address]);
    expect({ status, out }).toEqual({ status: 0, out: 'other version 1 is ready\n' });
    await expectAnswers(address, 'other');
  });

  it('with Python code in them are refused, and nothing is kept', async () => {
    const { address } = await runningServer([]);
    const answer = await fetch(`${address}/models/late/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/zip' },
      body: await readFile(join(FILES, 'refused-lambda.keras')),
    });
    expect(await failureOf(answer)).toMatchObject({
      status: 501,
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('the layer "doubles" is a Lambda, which holds Python code; a package is never executed'),
    });
    expect((await fetch(`${address}/models/late`)).status).toBe(404);
  });
});
