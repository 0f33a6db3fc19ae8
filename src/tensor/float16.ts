/*
 * FP16 is IEEE 754 binary16; BF16 is the upper half of an FP32. Both are held as raw bits, and numbers are rounded to
 * nearest, ties to even.
 */

/** The bits of numbers as FP16; what is beyond its range becomes an infinity. */
export function encodeFp16(values: ArrayLike<number>): Uint16Array {
  return new Uint16Array(Float16Array.from(values).buffer);
}

/** The numbers that FP16 bits say. */
export function decodeFp16(bits: Uint16Array): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length);
}

/** The bits of numbers as BF16; what is beyond its range becomes an infinity. */
export function encodeBf16(values: ArrayLike<number>): Uint16Array {
  const floats = Float32Array.from(values);
  const words = new Uint32Array(floats.buffer);
  const bits = new Uint16Array(words.length);
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!;
    // A NaN must not be rounded into an infinity; one bit of the fraction is kept set.
    bits[index] = Number.isNaN(floats[index]) ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The numbers that BF16 bits say; each is an FP32. */
export function decodeBf16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index += 1) words[index] = bits[index]! << 16;
  return new Float32Array(words.buffer);
}
