import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ReadBounds } from '../../../../src/optimization/onnx-model/read-budget.ts';
import { readOnnxModel } from '../../../../src/optimization/onnx-model/read-model.ts';
import { tensorOf } from '../../../../src/optimization/onnx-model/tensor-content.ts';
import { WireWriter } from '../../../../src/protobuf/wire-writer.ts';
import { modelFolder } from '../../../helpers/fixture-models.ts';
import { floatInitializer, node, ONNX_TYPES, onnxModel } from '../../../helpers/onnx-model.ts';

const digits = readFileSync(fileURLToPath(new URL('../../../../models/digits/1/model.onnx', import.meta.url)));

function modelOf(graph: WireWriter): Buffer {
  return new WireWriter().int(1, 8).message(8, new WireWriter().string(1, '').int(2, 17)).message(7, graph).finish();
}

/** A model whose one weight, of four numbers, is in another file. */
function external(entries: Readonly<Record<string, string>>): Buffer {
  const tensor = new WireWriter().packedVarints(1, [4]).int(2, ONNX_TYPES.FP32).string(8, 'w');
  for (const [key, value] of Object.entries(entries)) tensor.message(13, new WireWriter().string(1, key).string(2, value));
  return modelOf(new WireWriter().string(2, 'g').message(5, tensor.int(14, 1)));
}

async function refusal(content: Uint8Array, bounds?: Partial<ReadBounds>): Promise<unknown> {
  return outcome(await modelFolder({ 'model.onnx': content }), bounds);
}

function outcome(folder: string, bounds?: Partial<ReadBounds>): Promise<unknown> {
  return readOnnxModel(folder, bounds).then(
    () => 'read',
    (error: unknown) => error,
  );
}

function invalid(message: RegExp): unknown {
  return expect.objectContaining({ code: 'INVALID_MODEL', message: expect.stringMatching(message) as string });
}

describe('an ONNX model that is refused', () => {
  it.each([0, 1, 5, 60, 400, 1_000, digits.length - 1])('is cut off after %i bytes', async (length) => {
    expect(await refusal(digits.subarray(0, length))).toEqual(
      invalid(/^model\.onnx (is no ONNX model or is damaged: |has no graph|does not say)/),
    );
  });

  it('is any of five hundred damaged ones, with a code, or is read', async () => {
    const small = Buffer.from(
      onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: [2] }],
        outputs: [{ name: 'y', type: 'FP32' }],
        nodes: [node('Mul', ['x', 'w'], ['y'], [{ name: 'a', type: 7, ints: [1, 2] }])],
        initializers: [floatInitializer('w', [2], [1, 2])],
      }),
    );
    const folder = await modelFolder({});
    for (let trial = 0; trial < 500; trial += 1) {
      const damaged = Buffer.from(small);
      damaged[(trial * 7) % damaged.length] = (trial * 31) % 256;
      writeFileSync(join(folder, 'model.onnx'), damaged);
      const answer = await outcome(folder);
      if (answer !== 'read') expect(answer).toEqual(invalid(/^model\.onnx /));
    }
  });

  it('has nodes in a circle', async () => {
    const model = onnxModel({
      inputs: [{ name: 'x', type: 'FP32' }],
      outputs: [{ name: 'y', type: 'FP32' }],
      nodes: [node('Add', ['x', 'c'], ['a']), node('Neg', ['a'], ['b']), node('Abs', ['b'], ['c']), node('Exp', ['c'], ['y'])],
    });
    expect(await refusal(model)).toEqual(invalid(/nodes that wait for each other: Neg "Neg-b" → Abs "Abs-c" → Add "Add-a" → Neg "Neg-b"/));
  });

  it('makes a value twice', async () => {
    const nodes = [node('Neg', ['x'], ['y']), node('Abs', ['x'], ['y'])];
    expect(await refusal(onnxModel({ inputs: [{ name: 'x', type: 'FP32' }], outputs: [{ name: 'y', type: 'FP32' }], nodes }))).toEqual(
      invalid(/two nodes that make the value "y"/),
    );
  });

  it('has graphs inside each other without end', async () => {
    let graph = new WireWriter().string(2, 'innermost');
    for (let depth = 0; depth < 40; depth += 1) {
      const attribute = new WireWriter().string(1, 'body').int(20, 5).message(6, graph);
      graph = new WireWriter().message(1, new WireWriter().string(4, 'Loop').message(5, attribute));
    }
    expect(await refusal(modelOf(graph))).toEqual(invalid(/more than 32 graphs inside each other/));
  });

  /** A model with a node again and again. */
  function repeated(oneNode: WireWriter, bytes: number): Buffer {
    const one = new WireWriter().message(1, oneNode).finish();
    return modelOf(new WireWriter().fields([Buffer.alloc(Math.ceil(bytes / one.length) * one.length, one)]));
  }

  it('has more nodes than can be held as objects, before they become that', async () => {
    const bounds = { maxGraphBytes: 1_000_000, maxGraphParts: 10_000 };
    const small = repeated(new WireWriter().string(4, 'Neg'), 200_000);
    expect(await refusal(small, bounds)).toEqual(invalid(/more than 10000 nodes, values and attributes/));
    const large = repeated(new WireWriter().string(1, 'x'.repeat(1_000)).string(4, 'Neg'), 2_000_000);
    expect(await refusal(large, bounds)).toEqual(invalid(/more than 1000000 bytes of nodes and names/));
    const fields = new WireWriter().fields([Buffer.alloc(100_000, new WireWriter().int(15, 1).finish())]);
    expect(await refusal(modelOf(new WireWriter().message(1, fields)), bounds)).toEqual(invalid(/more than 10000/));
  });

  it.each([
    ['/etc/passwd', /"\/etc\/passwd", which is an absolute path/],
    ['../weights.bin', /"\.\.\/weights\.bin", which leads out of the version folder/],
    ['sub/../../weights.bin', /leads out/],
    ['http://example.test/weights.bin', /is a URL/],
    ['link.bin', /is a link that leads out/],
    ['gone.bin', /"gone\.bin" is missing/],
  ])('has weights outside of its folder: %s', async (location, message) => {
    const folder = await modelFolder({ 'model.onnx': external({ location }) });
    const outside = await modelFolder({ 'weights.bin': Buffer.alloc(16) });
    await symlink(join(outside, 'weights.bin'), join(folder, 'link.bin'));
    await expect(readOnnxModel(folder)).rejects.toEqual(invalid(message));
  });

  it.each([
    [{ location: 'w.bin', offset: '8' }, /does not hold|has 8 bytes; FP32 \[4\] takes 16/],
    [{ location: 'w.bin', offset: '4', length: '16' }, /the bytes 4 to 20 of "w\.bin", which has 16/],
    [{ location: 'w.bin', offset: '-1' }, /its offset is "-1", which is no size/],
    [{ location: 'w.bin', length: '99999999999999999999' }, /its length is "99999999999999999999", which is no size/],
    [{ offset: '0' }, /does not say in which file/],
  ])('has weights beside it that do not fit: %j', async (entries, message) => {
    const folder = await modelFolder({ 'model.onnx': external(entries), 'w.bin': Buffer.alloc(16) });
    await expect(readOnnxModel(folder).then((model) => tensorOf(model.graph.initializers.get('w')!))).rejects.toEqual(invalid(message));
  });

  it('has a tensor that promises more elements than there are', async () => {
    const tensor = new WireWriter()
      .packedVarints(1, [2 ** 40])
      .int(2, ONNX_TYPES.FP32)
      .string(8, 'w')
      .bytes(4, Buffer.alloc(8));
    const folder = await modelFolder({ 'model.onnx': modelOf(new WireWriter().message(5, tensor)) });
    const model = await readOnnxModel(folder);
    expect(() => tensorOf(model.graph.initializers.get('w')!)).toThrow(/does not hold the 1099511627776 elements/);
  });

  it('is not there', async () => {
    await expect(readOnnxModel(await modelFolder({}))).rejects.toEqual(invalid(/missing or cannot be read/));
  });
});
