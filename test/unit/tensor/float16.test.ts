import { describe, expect, it } from 'vitest';
import {
  decodeBf16,
  decodeFp16,
  encodeBf16,
  encodeFp16,
  fromBf16Bits,
  fromFp16Bits,
  toBf16Bits,
  toFp16Bits,
} from '../../../src/tensor/float16.ts';

const double = new Float64Array(1);
const word = new BigInt64Array(double.buffer);

/** The double next to a positive one, above or below. */
function neighbour(value: number, step: 1n | -1n): number {
  double[0] = value;
  word[0] = word[0]! + step;
  return double[0];
}

const FORMATS = [
  { name: 'FP16', encode: encodeFp16, decode: decodeFp16, infinity: 0x7c00 },
  { name: 'BF16', encode: encodeBf16, decode: decodeBf16, infinity: 0x7f80 },
] as const;

describe.each(FORMATS)('$name', ({ encode, decode, infinity }) => {
  const finite = Uint16Array.from({ length: infinity }, (_each, bits) => bits);

  it('gives back all finite bits and infinities of both signs', () => {
    const bits = Uint16Array.from({ length: 2 * infinity + 2 }, (_each, index) =>
      index <= infinity ? index : 0x8000 | (index - infinity - 1),
    );
    expect(encode(decode(bits))).toEqual(bits);
  });

  it('rounds at and beside the middle of any two neighbours to nearest, ties to even', () => {
    const numbers = decode(finite);
    const wrong: number[] = [];
    for (let bits = 0; bits < infinity - 1; bits += 1) {
      const middle = (numbers[bits]! + numbers[bits + 1]!) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const found = encode([neighbour(middle, -1n), middle, neighbour(middle, 1n), -middle]);
      if (found[0] !== bits || found[1] !== even || found[2] !== bits + 1 || found[3] !== (0x8000 | even)) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });

  it('makes an infinity only of what is beyond half a step over the largest', () => {
    const [last, largest] = decode(Uint16Array.of(infinity - 2, infinity - 1));
    const bound = largest! + (largest! - last!) / 2;
    expect([...encode([bound, neighbour(bound, -1n), -bound, Number.MAX_VALUE, Infinity])]).toEqual([
      infinity,
      infinity - 1,
      0x8000 | infinity,
      infinity,
      infinity,
    ]);
  });

  it('keeps NaN a NaN and the signs of zeros', () => {
    const [nan, zero, negativeZero, tiny] = encode([Number.NaN, 0, -0, -Number.MIN_VALUE]);
    expect(decode(Uint16Array.of(nan!))[0]).toBeNaN();
    expect([zero, negativeZero, tiny]).toEqual([0, 0x8000, 0x8000]);
    expect(decode(Uint16Array.of(infinity + 1))[0]).toBeNaN();
    const allOnes = new Float64Array(BigUint64Array.of(0x7fff_ffff_ffff_ffffn).buffer);
    expect(decode(encode(allOnes))[0]).toBeNaN();
  });
});

describe('single numbers', () => {
  it('are the known bits', () => {
    expect([1, -2, 65_504, 2 ** -24, 1 / 3].map(toFp16Bits)).toEqual([0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555]);
    expect([0x3c00, 0xc000, 0x7bff, 0x0001].map(fromFp16Bits)).toEqual([1, -2, 65_504, 2 ** -24]);
    expect([1, -2, Math.PI, 2 ** -133].map(toBf16Bits)).toEqual([0x3f80, 0xc000, 0x4049, 0x0001]);
    expect([0x3f80, 0xc000, 0x4049, 0x0001].map(fromBf16Bits)).toEqual([1, -2, 3.140625, 2 ** -133]);
  });
});
