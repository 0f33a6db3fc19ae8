import { describe, expect, it } from 'vitest';
import { bodyBytesOf, packTensors, unpackTensors } from '../../../src/runners/tensors.ts';
import type { NamedTensors } from '../../../src/tensor/tensor.ts';

function bodyOf(pieces: readonly (readonly Uint8Array[])[]): Uint8Array {
  const sections = pieces.map((each) => new Uint8Array(Buffer.concat(each)));
  const body = new Uint8Array(sections.reduce((sum, section) => sum + Math.ceil(section.byteLength / 8) * 8, 0));
  let offset = 0;
  for (const section of sections) {
    body.set(section, offset);
    offset += Math.ceil(section.byteLength / 8) * 8;
  }
  return body;
}

describe('tensors in a frame', () => {
  const tensors: NamedTensors = new Map([
    ['bytes', { dtype: 'BYTES', shape: [2], data: [Uint8Array.of(1, 2, 3), new Uint8Array(0)] }],
    ['odd', { dtype: 'UINT8', shape: [3], data: Uint8Array.of(4, 5, 6) }],
    ['wide', { dtype: 'INT64', shape: [1, 1], data: BigInt64Array.of(-5n) }],
  ]);

  it('come back as they were', () => {
    const { headers, sections } = packTensors([tensors]);
    expect(headers.map(({ bytes }) => bytes)).toEqual([11, 3, 8]);
    const body = bodyOf(sections);
    expect(bodyBytesOf({ kind: 'run', tensors: headers })).toBe(body.byteLength);
    expect(unpackTensors(headers, body)).toEqual(tensors);
  });

  it('share their memory with the caller and with the frame', () => {
    const data = Float32Array.of(1, 2);
    const { headers, sections } = packTensors([new Map([['x', { dtype: 'FP32', shape: [2], data }]])]);
    expect(sections[0]?.[0]?.buffer).toBe(data.buffer);
    const body = bodyOf(sections);
    const x = unpackTensors(headers, body).get('x')?.data as Float32Array;
    expect(x.buffer).toBe(body.buffer);
  });

  it('of several requests are one behind the other', () => {
    const part = (rows: number[][], texts: string[]): NamedTensors =>
      new Map([
        ['x', { dtype: 'INT8', shape: [rows.length, 3], data: Int8Array.from(rows.flat()) }],
        ['t', { dtype: 'BYTES', shape: [texts.length], data: texts.map((text) => Buffer.from(text)) }],
      ]);
    const { headers, sections } = packTensors([
      part([[1, 2, 3]], ['a']),
      part(
        [
          [4, 5, 6],
          [7, 8, 9],
        ],
        ['', 'bc'],
      ),
    ]);
    const joined = unpackTensors(headers, bodyOf(sections));
    expect(joined.get('x')).toEqual({ dtype: 'INT8', shape: [3, 3], data: Int8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) });
    expect((joined.get('t')!.data as Uint8Array[]).map((bytes) => Buffer.from(bytes).toString())).toEqual(['a', '', 'bc']);
    expect(joined.get('t')!.shape).toEqual([3]);
  });

  it('are refused when they do not fill their shape', () => {
    expect(() => unpackTensors([{ name: 'x', dtype: 'FP32', shape: [3], bytes: 8 }], new Uint8Array(8))).toThrow(/x/);
  });

  it('take no bytes in a message without tensors', () => {
    expect(bodyBytesOf({ kind: 'stop' })).toBe(0);
  });
});
