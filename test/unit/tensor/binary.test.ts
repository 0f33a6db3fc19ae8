import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binaryByteLength, decodeBinaryTensor, encodeBinaryTensor } from '../../../src/tensor/binary.ts';
import { DTYPES } from '../../../src/tensor/dtype.ts';
import { arbitraryTensor, elementsOf } from './arbitrary-tensor.ts';

/** The same bytes at an offset of a larger buffer, so that they start at any alignment. */
function shifted(bytes: Uint8Array, offset: number): Buffer {
  const large = Buffer.alloc(bytes.byteLength + offset + 8, 0xaa);
  large.set(bytes, offset);
  return large.subarray(offset, offset + bytes.byteLength);
}

describe('the raw form of tensors', () => {
  it('gives back every tensor from bytes at any alignment, copied or not', () => {
    fc.assert(
      fc.property(arbitraryTensor({ finite: false }), fc.nat(8), fc.boolean(), (tensor, offset, copy) => {
        const bytes = shifted(encodeBinaryTensor(tensor), offset);
        expect(bytes.byteLength).toBe(binaryByteLength(tensor));
        const read = decodeBinaryTensor(bytes, tensor.dtype, tensor.shape, 'x', { copy });
        expect(read.shape).toEqual(tensor.shape);
        expect(elementsOf(read)).toEqual(elementsOf(tensor));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is little-endian and row-major', () => {
    const bytes = Buffer.from('0100000002000000000080bf', 'hex');
    expect(decodeBinaryTensor(bytes.subarray(0, 8), 'INT32', [1, 2], 'x').data).toEqual(Int32Array.of(1, 2));
    expect(decodeBinaryTensor(bytes.subarray(8), 'FP32', [], 'x').data).toEqual(Float32Array.of(-1));
    expect(Buffer.from(encodeBinaryTensor({ dtype: 'UINT16', shape: [2], data: Uint16Array.of(1, 0x203) })).toString('hex')).toBe(
      '01000302',
    );
  });

  it('copies by default and shares memory when told to', () => {
    const bytes = Buffer.from(new ArrayBuffer(8));
    const shared = decodeBinaryTensor(bytes, 'FP32', [2], 'x', { copy: false }).data as Float32Array;
    const copied = decodeBinaryTensor(bytes, 'FP32', [2], 'x').data as Float32Array;
    const text = decodeBinaryTensor(Buffer.from([1, 0, 0, 0, 0x61]), 'BYTES', [1], 'x').data as Uint8Array[];
    bytes.writeFloatLE(1.5);
    expect(shared[0]).toBe(1.5);
    expect(copied[0]).toBe(0);
    expect(copied.buffer.byteLength).toBe(8);
    expect(Buffer.from(text[0]!).toString()).toBe('a');
  });

  it('copies BYTES by default', () => {
    const bytes = Buffer.from([1, 0, 0, 0, 0x61]);
    const [copied] = decodeBinaryTensor(bytes, 'BYTES', [1], 'x').data as Uint8Array[];
    const [shared] = decodeBinaryTensor(bytes, 'BYTES', [1], 'x', { copy: false }).data as Uint8Array[];
    bytes[4] = 0x62;
    expect([copied![0], shared![0]]).toEqual([0x61, 0x62]);
  });

  it('encodes all but BYTES as a view', () => {
    const data = Float32Array.of(1, 2, 3).subarray(1);
    const bytes = encodeBinaryTensor({ dtype: 'FP32', shape: [2], data });
    expect(bytes.buffer).toBe(data.buffer);
    expect([bytes.byteOffset, bytes.byteLength]).toEqual([4, 8]);
  });

  it('writes BYTES as lengths and bytes, zeros among them', () => {
    const tensor = { dtype: 'BYTES', shape: [3], data: [Uint8Array.of(0, 1), new Uint8Array(0), Uint8Array.of(0)] } as const;
    expect(Buffer.from(encodeBinaryTensor(tensor)).toString('hex')).toBe('020000000001000000000100000000');
    expect(binaryByteLength(tensor)).toBe(15);
  });

  it.each([
    ['FP32', [2], '00000000', 'x: has 4 bytes; FP32 [2] takes 8.'],
    ['FP32', [1], '0000000000', 'x: has 5 bytes; FP32 [1] takes 4.'],
    ['INT64', [], '', 'x: has 0 bytes; INT64 [] takes 8.'],
    ['BOOL', [3], '000102', 'x: has the byte 2 at 2; BOOL is 0 or 1.'],
    ['BYTES', [2], '00000000', 'x: has 4 bytes; BYTES [2] takes at least 8.'],
    ['BYTES', [1], '05000000616263', 'x: says that element 0 has 5 bytes; 3 are left.'],
    ['BYTES', [1], 'ffffffff61', 'x: says that element 0 has 4294967295 bytes; 1 are left.'],
    ['BYTES', [2], '0400000061626364', 'x: ends before the length of element 1.'],
    ['BYTES', [1], '010000006162', 'x: has 1 bytes after its last element.'],
    ['BYTES', [0], '00', 'x: has 1 bytes after its last element.'],
  ] as const)('refuses %s %j of the bytes %s', (dtype, shape, hex, message) => {
    expect(() => decodeBinaryTensor(Buffer.from(hex, 'hex'), dtype, shape, 'x')).toThrow(
      expect.objectContaining({ code: 'INVALID_TENSOR', message }),
    );
  });

  it('refuses hostile shapes before it makes anything of their size', () => {
    const shapes = [[2 ** 50], [2 ** 31, 2 ** 20], [2 ** 40, 2 ** 40], [-1], [-1, -1], [0.5], [Number.NaN], [Infinity, 0]];
    for (const shape of shapes) {
      for (const dtype of DTYPES) {
        expect(() => decodeBinaryTensor(Buffer.alloc(4), dtype, shape, 'x')).toThrow(expect.objectContaining({ code: 'INVALID_TENSOR' }));
      }
    }
  });

  it('throws only coded errors, whatever the bytes and the shape', () => {
    const shapes = fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 4 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...DTYPES), shapes, fc.nat(8), (bytes, dtype, shape, offset) => {
        try {
          decodeBinaryTensor(shifted(bytes, offset), dtype, shape, 'x', { copy: false });
        } catch (error) {
          expect(error).toMatchObject({ name: 'SlipwayError', code: 'INVALID_TENSOR' });
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuses every truncation', () => {
    fc.assert(
      fc.property(
        arbitraryTensor({ finite: false }).filter((tensor) => binaryByteLength(tensor) > 0),
        fc.nat(),
        (tensor, cut) => {
          const bytes = encodeBinaryTensor(tensor);
          expect(() => decodeBinaryTensor(bytes.subarray(0, cut % bytes.byteLength), tensor.dtype, tensor.shape, 'x')).toThrow(
            expect.objectContaining({ code: 'INVALID_TENSOR' }),
          );
        },
      ),
    );
  });
});
