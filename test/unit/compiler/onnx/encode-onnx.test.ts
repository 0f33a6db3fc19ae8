import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { createGraphBuilder } from '../../../../src/compiler/graph/builder.ts';
import type { Graph } from '../../../../src/compiler/graph/graph.ts';
import { floats, int64s } from '../../../../src/compiler/graph/tensors.ts';
import { encodeOnnx } from '../../../../src/compiler/onnx/encode-onnx.ts';
import { bytes } from '../../../helpers/tensors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

function sampleGraph(weights: Float32Array<ArrayBuffer>): Graph {
  const builder = createGraphBuilder();
  const x = builder.input('x', { dtype: 'FP32', shape: ['batch', 2, 'width'] });
  const w = builder.initializer('w', { dtype: 'FP32', shape: [weights.length], data: weights });
  const y = builder.inLayer('pool', () =>
    builder.add('AveragePool', [x], { kernel_shape: [300], strides: [2], auto_pad: 'SAME_UPPER', count_include_pad: 1 }),
  );
  const z = builder.add('Elu', [builder.add('Mul', [y, builder.add('Slice', [w, ...[0, 1].map((n) => builder.constant(int64s([n])))])])], {
    alpha: -0.5,
  });
  return builder.finish('sample', [{ name: 'z', value: builder.add('Cast', [z], { to: 'FP64' }) }]);
}

describe('encodeOnnx', () => {
  it('writes what a reader of onnx.proto reads', () => {
    const { model, data } = encodeOnnx(sampleGraph(Float32Array.of(1.5, -2)));
    expect(data).toEqual([]);
    const message = onnxProto.onnx.ModelProto.decode(Buffer.concat(model));
    const json = onnxProto.onnx.ModelProto.toObject(message, { longs: Number, enums: String, bytes: Array }) as object;
    const dimension = (size: number | string) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size });
    expect(json).toMatchObject({
      irVersion: 8,
      producerName: 'slipway',
      opsetImport: [{ domain: '', version: 18 }],
      graph: {
        name: 'sample',
        input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: ['batch', 2, 'width'].map(dimension) } } } }],
        output: [{ name: 'z', type: { tensorType: { elemType: 11, shape: { dim: ['batch', 2, 'ceil(width/2)'].map(dimension) } } } }],
        node: [
          {
            opType: 'AveragePool',
            name: 'pool/AveragePool',
            input: ['x'],
            output: ['pool/AveragePool'],
            attribute: [
              { name: 'kernel_shape', type: 'INTS', ints: [300] },
              { name: 'strides', type: 'INTS', ints: [2] },
              { name: 'auto_pad', type: 'STRING', s: [...Buffer.from('SAME_UPPER')] },
              { name: 'count_include_pad', type: 'INT', i: 1 },
            ],
          },
          { opType: 'Slice' },
          { opType: 'Mul', input: ['pool/AveragePool', 'Slice'] },
          { opType: 'Elu', attribute: [{ name: 'alpha', type: 'FLOAT', f: -0.5 }] },
          { opType: 'Cast', output: ['z'], attribute: [{ name: 'to', type: 'INT', i: 11 }] },
        ],
        initializer: [
          { name: 'w', dims: [2], dataType: 1, rawData: [0, 0, 192, 63, 0, 0, 0, 192] },
          { name: 'constant/INT64', dims: [1], dataType: 7 },
          { name: 'constant/INT64_1' },
        ],
      },
    });
  });

  it('does not copy weights', () => {
    const weights = new Float32Array(1000);
    const { model } = encodeOnnx(sampleGraph(weights));
    expect(model.some(({ buffer, byteLength }) => buffer === weights.buffer && byteLength === 4000)).toBe(true);
  });

  it('writes weights that one file cannot hold into another', async () => {
    const folder = await temporaryFolder();
    const weights = Float32Array.from({ length: 3000 }, (_weight, index) => index);
    const more = Float32Array.from({ length: 300 }, (_weight, index) => -index);
    const builder = createGraphBuilder();
    const x = builder.input('x', { dtype: 'FP32', shape: [] });
    const part = (name: string, values: Float32Array<ArrayBuffer>) =>
      builder.add('Mul', [x, builder.initializer(name, { dtype: 'FP32', shape: [values.length], data: values })]);
    const short = builder.add('Mul', [x, builder.initializer('short', floats([2], [7, 8]))]);
    const joined = builder.add('Concat', [part('a', weights), part('b', more), short], { axis: 0 });
    const graph = builder.finish('large', [{ name: 'y', value: joined }]);
    const { model, data } = encodeOnnx(graph, { mostWeightBytes: 8000 });
    // Each tensor starts at a page.
    expect(Buffer.concat(data).length).toBe(12_288 + 1200);
    await writeFile(join(folder, 'model.onnx'), model);
    await writeFile(join(folder, 'model.onnx.data'), data);
    const session = await InferenceSession.create(join(folder, 'model.onnx'), { logSeverityLevel: 4 });
    const { y } = await session.run({ x: { type: 'float32', dims: [], data: Float32Array.of(2), location: 'cpu' } as never });
    await session.release();
    expect(y!.data).toEqual(Float32Array.of(...weights.map((value) => value * 2), ...more.map((value) => value * 2), 14, 16));
  });

  it('writes texts', () => {
    const builder = createGraphBuilder();
    const words = builder.initializer('words', bytes(['ä', '']));
    const { model } = encodeOnnx(builder.finish('words', [{ name: 'y', value: words }]));
    const [tensor] = onnxProto.onnx.ModelProto.decode(Buffer.concat(model)).graph!.initializer!;
    expect(tensor!.stringData!.map((text) => Buffer.from(text).toString())).toEqual(['ä', '']);
  });
});
