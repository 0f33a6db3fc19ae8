import { describe, expect, it } from 'vitest';
import { decodeWeights } from '../../../../src/packages/tfjs/decode-weights.ts';
import type { WeightSpec } from '../../../../src/packages/tfjs/model-file.ts';

function tensorsOf(specs: WeightSpec[], data: ArrayBuffer[]) {
  return [...decodeWeights({ specs, data }).values()].map((weight) => weight.tensor());
}

describe('decodeWeights', () => {
  it('gives numbers that lie in one shard without a copy', () => {
    const shard = Float32Array.of(1, 2, 3).buffer;
    const [a, b] = tensorsOf(
      [
        { name: 'a', shape: [1], dtype: 'float32' },
        { name: 'b', shape: [2, 1], dtype: 'float32' },
      ],
      [shard],
    );
    expect(a).toEqual({ dtype: 'FP32', shape: [1], data: Float32Array.of(1) });
    expect(b).toEqual({ dtype: 'FP32', shape: [2, 1], data: Float32Array.of(2, 3) });
    expect((b!.data as Float32Array).buffer).toBe(shard);
  });

  it('joins numbers that lie in several shards, and moves those that are not aligned', () => {
    const bytes = Buffer.concat([Buffer.of(1), Buffer.from(Float32Array.of(1.5, -2).buffer), Buffer.from(Int32Array.of(-7).buffer)]);
    const cut = (start: number, end: number): ArrayBuffer => new Uint8Array(bytes.subarray(start, end)).buffer;
    const specs: WeightSpec[] = [
      { name: 'flag', shape: [1], dtype: 'bool' },
      { name: 'numbers', shape: [2], dtype: 'float32' },
      { name: 'count', shape: [], dtype: 'int32' },
    ];
    for (const shards of [[bytes.length], [1, bytes.length], [3, 4, 6, bytes.length]]) {
      const data = shards.map((end, index) => cut(index === 0 ? 0 : shards[index - 1]!, end));
      expect(tensorsOf(specs, data)).toEqual([
        { dtype: 'BOOL', shape: [1], data: Uint8Array.of(1) },
        { dtype: 'FP32', shape: [2], data: Float32Array.of(1.5, -2) },
        { dtype: 'INT32', shape: [], data: Int32Array.of(-7) },
      ]);
    }
  });

  it('gives quantized weights back as numbers', () => {
    const specs: WeightSpec[] = [
      { name: 'byte', shape: [2], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } },
      { name: 'word', shape: [1], dtype: 'float32', quantization: { dtype: 'uint16', scale: 2, min: 0 } },
      { name: 'half', shape: [1], dtype: 'float32', quantization: { dtype: 'float16' } },
      { name: 'whole', shape: [1], dtype: 'int32', quantization: { dtype: 'uint8', scale: 0.5, min: 0.1 } },
    ];
    const bytes = Uint8Array.of(0, 255, 0x10, 0x27, 0x00, 0xc0, 3);
    expect(tensorsOf(specs, [bytes.buffer]).map(({ data }) => [...(data as Float32Array)])).toEqual([[-1, 126.5], [20_000], [-2], [2]]);
  });

  it('leaves out what an optimizer keeps', () => {
    const specs: WeightSpec[] = [
      { name: 'a', shape: [1], dtype: 'float32' },
      { name: 'moment', shape: [1], dtype: 'float32', group: 'optimizer' },
      { name: 'b', shape: [1], dtype: 'float32' },
    ];
    const weights = decodeWeights({ specs, data: [Float32Array.of(1, 2, 3).buffer] });
    expect([...weights.keys()]).toEqual(['a', 'b']);
    expect(weights.get('b')!.tensor().data).toEqual(Float32Array.of(3));
  });

  it('refuses strings, complex numbers and two weights of one name', () => {
    const decode = (...specs: WeightSpec[]) => tensorsOf(specs, [new ArrayBuffer(64)]);
    expect(() => decode({ name: 'words', shape: [1], dtype: 'string' })).toThrowError(
      expect.objectContaining({ code: 'INVALID_MODEL', message: expect.stringContaining('"words"') }),
    );
    expect(() => decode({ name: 'waves', shape: [1], dtype: 'complex64' })).toThrowError('"waves" is complex64');
    const twice: WeightSpec = { name: 'twice', shape: [1], dtype: 'float32' };
    expect(() => decode(twice, twice)).toThrowError('lists the weight "twice" twice');
  });
});
