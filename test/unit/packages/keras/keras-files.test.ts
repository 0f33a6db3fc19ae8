import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compileLayersModel } from '../../../../src/compiler/compile.ts';
import { createTfjsEngine } from '../../../../src/engines/tfjs/tfjs-engine.ts';
import { openLayersModel } from '../../../../src/packages/layers-model.ts';
import { decodeWeights } from '../../../../src/packages/tfjs/decode-weights.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { loadForTest } from '../../../helpers/fixture-models.ts';
import { runGraph } from '../../../helpers/run-graph.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const FILES = fileURLToPath(new URL('../../../fixtures/keras/', import.meta.url));

interface Numbers {
  readonly dtype: 'FP32' | 'INT32';
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

interface Golden {
  readonly inputs: Readonly<Record<string, Numbers>>;
  readonly outputs: readonly Numbers[];
}

/** What Keras gave for the models, made by scripts/fixtures/keras_files.py. */
const { models } = JSON.parse(readFileSync(join(FILES, 'files.json'), 'utf8')) as { models: Readonly<Record<string, Golden>> };

const tensorOf = ({ dtype, shape, values }: Numbers): Tensor =>
  dtype === 'INT32' ? { dtype, shape, data: Int32Array.from(values) } : { dtype, shape, data: Float32Array.from(values) };

async function versionFolder(name: string): Promise<string> {
  const folder = await temporaryFolder();
  copyFileSync(join(FILES, `${name}.keras`), join(folder, 'model.keras'));
  return folder;
}

function expectEqual(found: Tensor | undefined, { shape, values }: Numbers): void {
  expect(found?.shape).toEqual(shape);
  const numbers = [...(found!.data as Float32Array)];
  for (const [index, value] of values.entries()) expect(Math.abs(numbers[index]! - value)).toBeLessThan(1e-5);
}

/** An input by its name in the file, or the only one. */
function feedsFor(names: readonly string[], inputs: Golden['inputs']): Record<string, Tensor> {
  return Object.fromEntries(Object.values(inputs).map((numbers, index) => [names[index]!, tensorOf(numbers)]));
}

describe('models that Keras 3 saved give what Keras gives, to 1e-5', () => {
  it.each(Object.entries(models))('%s, compiled', async (name, { inputs, outputs }) => {
    const { topology, weights } = await openLayersModel(await versionFolder(name));
    const graph = compileLayersModel(topology, decodeWeights(await weights()));
    const results = await runGraph(
      graph,
      feedsFor(
        graph.inputs.map((input) => input.name),
        inputs,
      ),
    );
    for (const [index, output] of graph.outputs.entries()) expectEqual(results.get(output.name), outputs[index]!);
  });

  // What tfjs has not is compiled alone: SpatialDropout2D, Subtract, GRU with reset_after.
  it('late, by tfjs', async () => {
    const { inputs, outputs } = models['late']!;
    const model = await loadForTest(createTfjsEngine({ backends: ['cpu'] }), await versionFolder('late'), 'keras');
    const { signature } = model;
    const feeds = feedsFor(
      signature.inputs.map((input) => input.name),
      inputs,
    );
    const results = await model.run(
      new Map(Object.entries(feeds)),
      signature.outputs.map((output) => output.name),
    );
    expectEqual([...results.values()][0], outputs[0]!);
  });
});

describe('Python code in a Keras file is refused by name', () => {
  it.each([
    ['refused-lambda', /the layer "doubles" is a Lambda, which holds Python code; a package is never executed\. Replace it/],
    [
      'refused-custom',
      /the layer "doubles" is of the class mine>Doubled, which is Python code and none of Keras' own; a package is never executed/,
    ],
    ['refused-operation', /the layer "sin" is of the class Sin, which TF\.js has not\. Export the model as ONNX or as a SavedModel/],
  ])('%s', async (name, message) => {
    await expect(versionFolder(name).then((folder) => openLayersModel(folder))).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(message),
    });
  });
});
