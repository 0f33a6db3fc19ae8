import { readdirSync, readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { compileLayersModel } from '../../../../src/compiler/compile.ts';
import { encodeOnnx } from '../../../../src/compiler/onnx/encode-onnx.ts';
import { onnxEngine } from '../../../../src/engines/onnx/onnx-engine.ts';
import { readOnnxModel } from '../../../../src/optimization/onnx-model/read-model.ts';
import { writeOnnxModel, type WriteOptions } from '../../../../src/optimization/onnx-model/write-model.ts';
import { decodeWeights } from '../../../../src/packages/tfjs/decode-weights.ts';
import { readModelFile } from '../../../../src/packages/tfjs/model-file.ts';
import { readWeights } from '../../../../src/packages/tfjs/read-weights.ts';
import { WireWriter } from '../../../../src/protobuf/wire-writer.ts';
import { STORAGE } from '../../../../src/tensor/dtype.ts';
import { elementCount } from '../../../../src/tensor/shape.ts';
import type { Signature } from '../../../../src/tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../../src/tensor/tensor.ts';
import { randomNumbers } from '../../../helpers/compiled-model.ts';
import { fixtureFolder, loadForTest, modelFolder } from '../../../helpers/fixture-models.ts';
import { floatInitializer, node, ONNX_TYPES, onnxModel, tensorValue } from '../../../helpers/onnx-model.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const { ModelProto } = onnxProto.onnx;
const FIXTURES = fileURLToPath(new URL('../../../fixtures/models/', import.meta.url));
const DIGITS = fileURLToPath(new URL('../../../../models/digits/1', import.meta.url));

async function rewritten(folder: string, options?: WriteOptions): Promise<string> {
  const target = await temporaryFolder();
  await writeOnnxModel(await readOnnxModel(folder), target, options);
  return target;
}

/** Inputs of small whole numbers and, where there are fractions, of others. @param open size of open axes but the first */
function inputsFor({ inputs }: Signature, batch: number, open: number): NamedTensors {
  return new Map(
    inputs.map(({ name, dtype, shape }): [string, Tensor] => {
      const sizes = (shape ?? [batch]).map((size, axis) => (size >= 0 ? size : axis === 0 ? batch : open));
      const numbers = randomNumbers(elementCount(sizes, name), batch);
      if (dtype === 'BYTES') return [name, { dtype, shape: sizes, data: Array.from(numbers, (value) => Buffer.from(String(value))) }];
      const wide = dtype === 'INT64' || dtype === 'UINT64';
      const whole = (value: number): number => Math.floor(Math.abs(value) * (dtype === 'BOOL' ? 2 : 5));
      const values = Array.from(numbers, (value) => (wide ? BigInt(whole(value)) : dtype.startsWith('FP') ? value : whole(value)));
      return [name, { dtype, shape: sizes, data: (STORAGE[dtype] as unknown as typeof Float32Array).from(values as number[]) }];
    }),
  );
}

async function outputsOf(folder: string, open: number): Promise<NamedTensors[]> {
  const model = await loadForTest(onnxEngine, folder, 'onnx');
  const names = model.signature.outputs.map(({ name }) => name);
  const results: NamedTensors[] = [];
  for (const inputs of [1, 3].map((batch) => inputsFor(model.signature, batch, open))) results.push(await model.run(inputs, names));
  return results;
}

/** A compiled layers model as a version folder. */
async function compiledFolder(fixture: string): Promise<string> {
  const folder = fixtureFolder(fixture);
  const file = await readModelFile(folder);
  const graph = compileLayersModel(file.modelTopology, decodeWeights(await readWeights(folder, file.weightsManifest)));
  return modelFolder({ 'model.onnx': Buffer.concat(encodeOnnx(graph).model) });
}

const onnxFixtures = readdirSync(FIXTURES).filter(
  (name) => name !== 'broken-onnx' && readdirSync(join(FIXTURES, name, '1')).includes('model.onnx'),
);

async function expectSame(folder: string, open = 4): Promise<void> {
  const target = await rewritten(folder);
  const [before, after] = [folder, target].map((each) => ModelProto.decode(readFileSync(join(each, 'model.onnx'))).toJSON());
  expect(after).toEqual(before);
  expect(await outputsOf(target, open)).toEqual(await outputsOf(folder, open));
}

describe('an ONNX model that is read and written again', () => {
  it.each(onnxFixtures)('has the same fields and gives the same numbers: %s', async (name) => {
    await expectSame(fixtureFolder(name));
  });

  it('so has the bundled model', async () => {
    await expectSame(DIGITS);
  });

  // The masks of the second are made by a Scan, whose body sees values around it.
  it.each(['digits-layers', 'sequence-layers', 'transformer-layers', 'multi-layers'])('so has a compiled one: %s', async (name) => {
    await expectSame(await compiledFolder(name), 8);
  });

  it('so has one with graphs in attributes and every kind of attribute', async () => {
    const branch = (name: string, value: number): object => ({
      name,
      node: [
        node('Constant', [], [`${name}-c`], [{ name: 'value', type: 4, t: floatInitializer('c', [1], [value]) }]),
        node('Add', ['x', `${name}-c`], [`${name}-y`]),
      ],
      output: [tensorValue({ name: `${name}-y`, type: 'FP32' })],
    });
    const model = onnxModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP32' }],
      nodes: [
        node(
          'ReduceMean',
          ['x'],
          ['mean'],
          [
            { name: 'axes', type: 7, ints: [-1] },
            { name: 'keepdims', type: 2, i: 0 },
          ],
        ),
        node('Greater', ['mean', 'zero'], ['positive']),
        node(
          'If',
          ['positive'],
          ['chosen'],
          [
            { name: 'then_branch', type: 5, g: branch('then', 1) },
            { name: 'else_branch', type: 5, g: branch('else', -1) },
          ],
        ),
        node('LeakyRelu', ['chosen'], ['leaky'], [{ name: 'alpha', type: 1, f: 0.3 }]),
        node('Constant', [], ['many'], [{ name: 'value_floats', type: 6, floats: [1, 2.5] }]),
        node('ReduceSum', ['many'], ['sum']),
        node('Mul', ['leaky', 'sum'], ['y']),
      ],
      initializers: [floatInitializer('zero', [], [0])],
    });
    await expectSame(await modelFolder({ 'model.onnx': model }));
  });

  it('keeps fields that nothing here knows, in every message', async () => {
    const unknown = (message: WireWriter): WireWriter => message.string(1_000, 'kept').int(1_001, 2n ** 63n - 1n);
    const tensor = unknown(new WireWriter().packedVarints(1, [1]).int(2, ONNX_TYPES.FP32).string(8, 'w').bytes(9, Buffer.alloc(4)));
    const attribute = unknown(new WireWriter().string(1, 'axis').int(20, 2).int(3, -1));
    // A list of tensors, which is read by no one, is kept as it is.
    const others = new WireWriter().string(1, 'many').int(20, 9).message(10, tensor);
    const oneNode = unknown(new WireWriter().string(1, 'x').string(2, 'y').string(4, 'Op').message(5, attribute).message(5, others));
    const value = (name: string): WireWriter => unknown(new WireWriter().string(1, name));
    const graph = unknown(
      new WireWriter()
        .message(1, oneNode)
        .string(2, 'g')
        .message(5, tensor)
        .message(11, value('x'))
        .message(12, value('y'))
        .message(13, value('z')),
    );
    const model = unknown(new WireWriter().int(1, 8).message(8, new WireWriter().string(1, '').int(2, 17)).message(7, graph));
    const folder = await modelFolder({ 'model.onnx': model.finish() });
    const after = await readFile(join(await rewritten(folder), 'model.onnx'));
    const count = (text: string): number => after.toString('latin1').split(text).length - 1;
    expect(count('kept')).toBe(model.finish().toString('latin1').split('kept').length - 1);
    expect(after.length).toBe(model.finish().length);
    // Once more changes nothing: the order of fields is settled.
    expect(await readFile(join(await rewritten(await modelFolder({ 'model.onnx': after })), 'model.onnx'))).toEqual(after);
  });

  it('writes weights beside the model where they are too many for one file, and reads them back', async () => {
    const target = await rewritten(DIGITS, { mostWeightBytes: 100_000 });
    expect((await stat(join(target, 'model.onnx'))).size).toBeLessThan(20_000);
    expect((await stat(join(target, 'model.onnx.data'))).size).toBeGreaterThan(200_000);
    const expected = await outputsOf(DIGITS, 4);
    expect(await outputsOf(target, 4)).toEqual(expected);
    expect(await outputsOf(await rewritten(target), 4)).toEqual(expected);
    expect(await outputsOf(await rewritten(target, { mostWeightBytes: 100_000 }), 4)).toEqual(expected);
  });

  it('puts nodes in order that are not', async () => {
    const model = onnxModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP32' }],
      nodes: [node('Neg', ['a'], ['y']), node('Abs', ['x'], ['a'])],
    });
    const folder = await modelFolder({ 'model.onnx': model });
    expect((await readOnnxModel(folder)).graph.nodes.map(({ op }) => op)).toEqual(['Abs', 'Neg']);
  });
});
