/*
 * FP16 is IEEE 754 binary16; BF16 is the upper half of an FP32. Both are held as raw bits, and numbers are rounded to
 * nearest, ties to even; what is beyond the range becomes an infinity.
 */

/** Largest finite number of FP16. */
export const MOST_FP16 = 65_504;

/** The bits of a NaN as BF16: all of the exponent and the upper bit of the fraction. */
const BF16_NAN = 0x7fc0;

/** The bits of numbers as FP16. */
export function encodeFp16(values: ArrayLike<number>): Uint16Array {
  return new Uint16Array(new Float16Array(values).buffer);
}

/** The numbers that FP16 bits say; a view of the same memory. */
export function decodeFp16(bits: Uint16Array): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length);
}

/** The bits of numbers as BF16. */
export function encodeBf16(values: ArrayLike<number>): Uint16Array {
  const floats = new Float32Array(1);
  const words = new Uint32Array(floats.buffer);
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    floats[0] = value;
    const single = floats[0];
    let word = words[0]!;
    if (Number.isNaN(single)) {
      // Rounding would carry some NaNs over into the sign.
      bits[index] = BF16_NAN;
      continue;
    }
    // Two roundings to nearest are not one. So the first cuts off and marks in the last bit that something was there
    // (rounding to odd; S. Boldo and G. Melquiond, Emulation of a FMA and correctly rounded sums, 2008).
    if (single !== value) word = (Math.abs(single) > Math.abs(value) ? word - 1 : word) | 1;
    bits[index] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The numbers that BF16 bits say; each is an FP32. */
export function decodeBf16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index += 1) words[index] = bits[index]! << 16;
  return new Float32Array(words.buffer);
}

/** One number as the bits of FP16. */
export function toFp16Bits(value: number): number {
  return encodeFp16([value])[0]!;
}

/** The number that FP16 bits say. */
export function fromFp16Bits(bits: number): number {
  return decodeFp16(Uint16Array.of(bits))[0]!;
}

/** One number as the bits of BF16. */
export function toBf16Bits(value: number): number {
  return encodeBf16([value])[0]!;
}

/** The number that BF16 bits say. */
export function fromBf16Bits(bits: number): number {
  return decodeBf16(Uint16Array.of(bits))[0]!;
}
