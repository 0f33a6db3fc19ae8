import { describe, expect, it } from 'vitest';
import type { LoadedModel } from '../../../../src/engines/engine.ts';
import { createTfjsEngine } from '../../../../src/engines/tfjs/tfjs-engine.ts';
import { loadForTest, modelFolder } from '../../../helpers/fixture-models.ts';
import { fp32 } from '../../../helpers/tensors.ts';
import { graphNode, graphTopology, placeholder, tensorInfo, tfjsFiles } from '../../../helpers/tfjs-model.ts';

const engine = createTfjsEngine();

async function load(nodes: readonly object[], signature?: object): Promise<LoadedModel> {
  const folder = await modelFolder(
    tfjsFiles({ format: 'graph-model', modelTopology: graphTopology(nodes), weights: [], ...(signature && { signature }) }),
  );
  return loadForTest(engine, folder, 'tfjs-graph');
}

const greater = [
  placeholder('x', 'DT_FLOAT', [-1, 2]),
  placeholder('y', 'DT_FLOAT', [-1, 2]),
  graphNode('result', 'Greater', ['x', 'y'], { T: { type: 'DT_FLOAT' } }),
];

describe('graph models', () => {
  it('without a signature take their placeholders and last nodes, with the dtypes that a trial shows', async () => {
    const model = await load(greater);
    expect(model.signature).toEqual({
      inputs: [
        { name: 'x', dtype: 'FP32', shape: [-1, 2] },
        { name: 'y', dtype: 'FP32', shape: [-1, 2] },
      ],
      outputs: [{ name: 'result', dtype: 'BOOL', shape: null }],
    });
    const inputs = new Map([
      ['x', fp32([1, 2], [1, 2])],
      ['y', fp32([0, 3], [1, 2])],
    ]);
    expect(await model.run(inputs, ['result'])).toEqual(new Map([['result', { dtype: 'BOOL', shape: [1, 2], data: Uint8Array.of(1, 0) }]]));
  });

  it('keep an open rank open', async () => {
    const model = await load(
      [
        graphNode('x', 'Placeholder', [], { dtype: { type: 'DT_FLOAT' }, shape: { shape: { unknownRank: true } } }),
        graphNode('y', 'Neg', ['x'], { T: { type: 'DT_FLOAT' } }),
      ],
      {
        inputs: { x: { name: 'x:0', dtype: 'DT_FLOAT', tensorShape: { unknownRank: true } } },
        outputs: { y: { name: 'y:0', dtype: 'DT_FLOAT', tensorShape: { unknownRank: true } } },
      },
    );
    expect(model.signature.inputs[0]!.shape).toBeNull();
    expect(await model.run(new Map([['x', fp32([1, 2], [2, 1, 1])]]), ['y'])).toEqual(new Map([['y', fp32([-1, -2], [2, 1, 1])]]));
  });

  it('may give the same tensor under two names', async () => {
    const model = await load([placeholder('x', 'DT_FLOAT', [-1]), graphNode('y', 'Neg', ['x'], { T: { type: 'DT_FLOAT' } })], {
      inputs: { x: tensorInfo('x:0', 'DT_FLOAT', [-1]) },
      outputs: { first: tensorInfo('y:0', 'DT_FLOAT', [-1]), second: tensorInfo('y:0', 'DT_FLOAT', [-1]) },
    });
    expect(await model.run(new Map([['x', fp32([1])]]), ['second', 'first'])).toEqual(
      new Map([
        ['second', fp32([-1])],
        ['first', fp32([-1])],
      ]),
    );
  });

  it('refuse a dtype that tfjs cannot carry, and name the tensor', async () => {
    const complex = { inputs: { x: tensorInfo('x:0', 'DT_COMPLEX64', [-1]) }, outputs: { y: tensorInfo('y:0', 'DT_COMPLEX64', [-1]) } };
    await expect(load([placeholder('x', 'DT_COMPLEX64', [-1]), graphNode('y', 'Identity', ['x'])], complex)).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/input "x".*DT_COMPLEX64/),
    });
  });

  it('refuse a signature that names no tensor of the graph', async () => {
    const signature = {
      inputs: { x: tensorInfo('x:0', 'DT_FLOAT', [-1, 2]) },
      outputs: { y: tensorInfo('nowhere:0', 'DT_FLOAT', [-1, 2]) },
    };
    await expect(load(greater, signature)).rejects.toMatchObject({ code: 'INVALID_MODEL', message: expect.stringContaining('nowhere') });
  });

  it('refuse a signature of another form', async () => {
    await expect(load(greater, { inputs: [], outputs: 3 })).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('signature'),
    });
  });
});
