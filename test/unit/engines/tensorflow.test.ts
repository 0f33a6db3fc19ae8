import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../src/engines/engines.ts';
import type { LoadedModel, LoadOptions } from '../../../src/engines/engine.ts';
import { openTensorFlow } from '../../../src/engines/tensorflow/binding.ts';
import { readSavedModel } from '../../../src/engines/tensorflow/saved-model-file.ts';
import { tensorflowEngine } from '../../../src/engines/tensorflow/tensorflow-engine.ts';
import { fixtureFolder, loadForTest } from '../../helpers/fixture-models.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../../helpers/native-tensorflow.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { bytes, fp32 } from '../../helpers/tensors.ts';

const texts = fixtureFolder('texts-saved');
const timesThree = fixtureFolder('times-three-saved');

describe('the file of a SavedModel', () => {
  it('tells its tags and signatures', async () => {
    const { tags, signatures } = await readSavedModel(timesThree);
    expect(tags).toEqual(['serve']);
    expect([...signatures.keys()].toSorted()).toEqual(['halve', 'serving_default']);
    expect(signatures.get('halve')).toMatchObject({
      inputs: [{ spec: { name: 'x', dtype: 'FP32', shape: [-1] }, tensor: expect.stringMatching(/^halve_x:0$/) as string }],
      outputs: [{ spec: { name: 'half', dtype: 'FP32', shape: [-1] } }],
    });
  });

  it('is refused when it is none, cut short, or has no graph for serving', async () => {
    const folder = await temporaryFolder();
    await expect(readSavedModel(folder)).rejects.toMatchObject({ code: 'INVALID_MODEL', message: 'saved_model.pb is missing.' });
    const whole = await readFile(join(timesThree, 'saved_model.pb'));
    for (const content of [Buffer.from('no model'), whole.subarray(0, 3000)]) {
      await writeFile(join(folder, 'saved_model.pb'), content);
      await expect(readSavedModel(folder)).rejects.toMatchObject({
        code: 'INVALID_MODEL',
        message: expect.stringContaining('is no SavedModel') as string,
      });
    }
    const tagged = Buffer.from(whole.toString('latin1').replace('serve', 'train'), 'latin1');
    await writeFile(join(folder, 'saved_model.pb'), tagged);
    await expect(readSavedModel(folder)).rejects.toMatchObject({
      message: expect.stringContaining('no graph with the tag "serve"') as string,
    });
  });

  it('needs native TensorFlow, and says how to get it', async () => {
    const options: LoadOptions = { folder: timesThree, format: 'saved-model', threads: 1 };
    await expect(tensorflowEngine.load(options)).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: 'Native TensorFlow is not installed. Run: npx slipway native install',
    });
  });
});

describe.skipIf(tensorflowFolder === undefined)(`a SavedModel on TensorFlow (${NEEDS_TENSORFLOW})`, () => {
  const load = (options: Partial<Parameters<typeof loadModel>[0]> = {}): ReturnType<typeof loadModel> =>
    loadModel({ folder: timesThree, format: 'saved-model', threads: 1, tensorflowFolder, ...options });

  async function run(model: LoadedModel, words: readonly string[]): Promise<Record<string, unknown>> {
    const wanted = ['lower', 'id', 'same', 'names'];
    const outputs = await model.run(new Map([['text', bytes(words)]]), wanted);
    return Object.fromEntries(
      wanted.map((name) => {
        const { data } = outputs.get(name)!;
        return [
          name,
          Array.from(data as Iterable<Uint8Array | bigint>, (each) =>
            typeof each === 'bigint' ? Number(each) : Buffer.from(each).toString(),
          ),
        ];
      }),
    );
  }

  it('takes and gives strings, with the files that belong to it, again and again', async () => {
    const model = await loadForTest(tensorflowEngine, texts, 'saved-model');
    const { binding } = openTensorFlow({});
    const before = binding.getNumOfTensors();
    const words = ['ONE', 'Über', '', 'a text of more than twenty-two bytes'];
    for (let time = 0; time < 3; time += 1) {
      expect(await run(model, words)).toEqual({
        lower: ['one', 'über', '', 'a text of more than twenty-two bytes'],
        id: [0, 2, -1, -1],
        same: words,
        names: ['the first of all names there are', 'the second of all names there are'],
      });
    }
    expect(binding.getNumOfTensors()).toBe(before);
  });

  it('holds no tensor after a run that fails', async () => {
    const model = await loadForTest(tensorflowEngine, fixtureFolder('multi-saved'), 'saved-model');
    const { binding } = openTensorFlow({});
    const before = binding.getNumOfTensors();
    const wrong = new Map([
      ['a', fp32([1, 2, 3], [1, 3])],
      ['b', fp32([1, 2], [1, 2])],
    ]);
    await expect(model.run(wrong, ['sum'])).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/^TensorFlow failed: .*\.$/) as string,
    });
    expect(binding.getNumOfTensors()).toBe(before);
  });

  it('is served by the signature that its manifest names', async () => {
    const { engine, model } = await load({ signature: 'halve' });
    expect({ engine, reason: model.reason }).toMatchObject({
      engine: 'tensorflow',
      reason: expect.stringMatching(/TensorFlow 2\.\d+\.\d+ on/) as string,
    });
    expect(await model.run(new Map([['x', fp32([3])]]), ['half'])).toEqual(new Map([['half', fp32([1.5])]]));
    await model.dispose();
    await expect(load({ signature: 'double' })).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('no signature "double"; it has: halve, serving_default') as string,
    });
  });

  it('is refused without the file of its variables', async () => {
    const folder = await temporaryFolder();
    await cp(join(timesThree, 'saved_model.pb'), join(folder, 'saved_model.pb'));
    await expect(load({ folder })).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringMatching(/^variables\/variables\.index is missing/) as string,
    });
  });

  it('falls back from a device that is not there or is refused, as the policy is, and says so', async ({ skip }) => {
    skip(openTensorFlow({ tensorflowFolder }).device !== 'cpu', 'needs a machine without a GPU');
    const { model } = await load({ device: 'cuda' });
    expect(model).toMatchObject({ device: 'cpu', reason: expect.stringContaining('asks for the device cuda') as string });
    await model.dispose();
    await expect(load({ device: 'cuda', missingDevice: 'refuse' })).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringMatching(/asks for the device cuda.*devices\.onMissing/) as string,
    });
  });
});
