import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { decodeJsonTensor } from '../../../src/tensor/json-decode.ts';
import { encodeJsonTensor } from '../../../src/tensor/json-encode.ts';
import { parseJson } from '../../../src/tensor/json-scanner.ts';
import { arbitraryTensor, elementsOf } from './arbitrary-tensor.ts';

function singles(...values: number[]): string {
  return encodeJsonTensor({ dtype: 'FP32', shape: [values.length], data: Float32Array.from(values) });
}

function doubles(...values: number[]): string {
  return encodeJsonTensor({ dtype: 'FP64', shape: [values.length], data: Float64Array.from(values) });
}

describe('encodeJsonTensor', () => {
  it('gives back every tensor that is written and read, flat or nested', () => {
    const textual = (element: Uint8Array): boolean => Buffer.from(Buffer.from(element).toString('utf8')).equals(element);
    const tensors = arbitraryTensor({ finite: true }).filter(
      ({ dtype, data }) => dtype !== 'BYTES' || (data as Uint8Array[]).every(textual),
    );
    fc.assert(
      fc.property(tensors, fc.boolean(), (tensor, flat) => {
        const value = parseJson(Buffer.from(encodeJsonTensor(tensor, { flat })));
        const { dtype, shape } = tensor;
        // Nothing is left of the dimensions behind one of 0.
        const nested = shape.includes(0) && !flat ? shape.slice(0, shape.indexOf(0) + 1) : shape;
        const read = decodeJsonTensor(value, { dtype, path: 'x', ...(flat && { shape }) });
        expect(read.shape).toEqual(nested);
        expect(elementsOf(read)).toEqual(elementsOf(tensor));
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives back NaN and infinities where they may be written', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1 }), (data) => {
        const value = parseJson(Buffer.from(encodeJsonTensor({ dtype: 'FP32', shape: [data.length], data }, { nonFinite: true })), {
          nonFinite: true,
        });
        expect(elementsOf(decodeJsonTensor(value, { dtype: 'FP32', path: 'x' }))).toEqual([...data]);
      }),
    );
  });

  it('nests as the shape says', () => {
    const data = Int32Array.from({ length: 12 }, (_each, index) => index);
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [2, 1, 3, 2], data })).toBe('[[[[0,1],[2,3],[4,5]]],[[[6,7],[8,9],[10,11]]]]');
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [2, 6], data }, { flat: true })).toBe('[0,1,2,3,4,5,6,7,8,9,10,11]');
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [3, 1], data: data.subarray(0, 3) })).toBe('[[0],[1],[2]]');
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [], data: Int32Array.of(5) })).toBe('5');
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [], data: Int32Array.of(5) }, { flat: true })).toBe('[5]');
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [0], data: new Int32Array(0) })).toBe('[]');
    expect(encodeJsonTensor({ dtype: 'INT32', shape: [2, 0, 4], data: new Int32Array(0) })).toBe('[[],[]]');
    expect(encodeJsonTensor({ dtype: 'BYTES', shape: [2, 0], data: [] }, { flat: true })).toBe('[]');
  });

  it('writes singles with as few digits as tell them', () => {
    expect(singles(0.1, -0.3, 16_777_216, 0.5, 9.3, 100, 1 / 3)).toBe('[0.1,-0.3,16777216,0.5,9.3,100,0.33333334]');
    expect(singles(1e-7, 1.5e-6, 1e-6, 2.5e-10, -3.4e38, 1e9, 0, -0)).toBe(
      `[1e-7,0.0000015,1e-6,2.5e-10,${Math.fround(-3.4e38)},1000000000,0,-0]`,
    );
    expect(singles(999_999_999, 0.000_999_999_97, 123456.789)).toBe('[1000000000,0.0009999999,123456.79]');
  });

  it('writes singles that read back to the bit and are never longer than the double', () => {
    const bits = fc.nat(0xff_ff_ff_ff).map((word) => new Float32Array(Uint32Array.of(word).buffer)[0]!);
    fc.assert(
      fc.property(fc.oneof(bits, fc.float({ min: -100, max: 100, noNaN: true })).filter(Number.isFinite), (value) => {
        const text = singles(value).slice(1, -1);
        expect(Object.is(Math.fround(Number(text)), value)).toBe(true);
        expect(text.length).toBeLessThanOrEqual(Object.is(value, -0) ? 2 : String(value).length);
      }),
      { numRuns: 10_000 },
    );
  });

  it('writes doubles as String does, and the sign of -0', () => {
    const short = fc.tuple(fc.integer({ min: -1e10, max: 1e10 }), fc.nat(16)).map(([digits, decimals]) => digits / 10 ** decimals);
    expect(doubles(0.1 + 0.2, 0.3)).toBe('[0.30000000000000004,0.3]');
    fc.assert(
      fc.property(fc.oneof(short, fc.double({ noNaN: true, noDefaultInfinity: true })), (value) => {
        expect(doubles(value)).toBe(Object.is(value, -0) ? '[-0]' : `[${value}]`);
      }),
      { numRuns: 10_000 },
    );
  });

  it('writes null for NaN and infinities, or bare words on request', () => {
    const tensor = { dtype: 'FP32', shape: [4], data: Float32Array.of(Number.NaN, Infinity, -Infinity, 1) } as const;
    expect(encodeJsonTensor(tensor)).toBe('[null,null,null,1]');
    expect(encodeJsonTensor(tensor, { nonFinite: true })).toBe('[NaN,Infinity,-Infinity,1]');
    expect(encodeJsonTensor({ dtype: 'FP16', shape: [3], data: Uint16Array.of(0x3c00, 0x7c00, 0xfe00) })).toBe('[1,null,null]');
  });

  it('writes 64-bit integers exactly', () => {
    const data = BigInt64Array.of(-1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 0n, -(2n ** 32n));
    expect(encodeJsonTensor({ dtype: 'INT64', shape: [6], data })).toBe(
      '[-1,9223372036854775807,-9223372036854775808,9007199254740993,0,-4294967296]',
    );
    expect(encodeJsonTensor({ dtype: 'UINT64', shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) })).toBe('[18446744073709551615]');
  });

  it('writes BOOL as words and the halves as numbers', () => {
    expect(encodeJsonTensor({ dtype: 'BOOL', shape: [1, 2], data: Uint8Array.of(1, 0) })).toBe('[[true,false]]');
    expect(encodeJsonTensor({ dtype: 'FP16', shape: [2], data: Uint16Array.of(0x2e66, 0x0001) })).toBe('[0.099975586,5.9604645e-8]');
    expect(encodeJsonTensor({ dtype: 'BF16', shape: [1], data: Uint16Array.of(0x4049) })).toBe('[3.140625]');
  });

  it('writes BYTES as text, or as base64 where they are not UTF-8', () => {
    const data = [Buffer.from('é"\n'), Buffer.from([0xff, 0x00]), Buffer.from('')];
    expect(encodeJsonTensor({ dtype: 'BYTES', shape: [3], data })).toBe(String.raw`["é\"\n",{"b64":"/wA="},""]`);
  });

  it('refuses to write millions of empty arrays', () => {
    expect(() => encodeJsonTensor({ dtype: 'FP32', shape: [2 ** 40, 0], data: new Float32Array(0) })).toThrow(SlipwayError);
    expect(encodeJsonTensor({ dtype: 'FP32', shape: [2 ** 40, 0], data: new Float32Array(0) }, { flat: true })).toBe('[]');
  });

  it('grows for numbers that are longer than usual', () => {
    const data = new Float64Array(1_000).fill(-1.234567890123456e-300);
    expect(JSON.parse(encodeJsonTensor({ dtype: 'FP64', shape: [1_000], data }))).toEqual([...data]);
  });
});
