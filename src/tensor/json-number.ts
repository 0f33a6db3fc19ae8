import { SlipwayError } from '../errors/slipway-error.ts';
import { jsonError } from './json-error.ts';
import { nearestDouble, POWERS_OF_TEN, productError } from './nearest-double.ts';
import type { NumberStore } from './numeric-array.ts';

const COMMA = 0x2c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const UPPER_I = 0x49;
const LOWER_E = 0x65;
/** Makes a capital letter small. */
const LOWER_CASE = 0x20;
/** A byte XOR this is 0 to 9 for the digits and more for every other byte. */
const ZERO = 0x30;

/** Digits that a 32-bit integer holds whatever they are; integers are the fastest to add up. */
const CHUNK_DIGITS = 9;

/** Beyond every double and every count of digits; larger exponents change nothing. */
const LARGEST_EXPONENT = 1e9;

export function startsNumber(code: number | undefined): boolean {
  return code !== undefined && (code === MINUS || (code ^ ZERO) <= 9);
}

function readFromText(bytes: Buffer, start: number, end: number): number {
  const value = Number(bytes.toString('latin1', start, end));
  if (Number.isFinite(value)) return value;
  throw new SlipwayError('INVALID_JSON', `The number at byte ${start} is beyond the range of a double (±1.797e308).`);
}

function pushLarge(bytes: Buffer, start: number, end: number, value: number, store: NumberStore): void {
  const integer = BigInt(bytes.toString('latin1', start, end));
  if (integer === BigInt(value)) store.push(value);
  else store.pushBig(integer);
}

/**
 * Reads the rest of a number that has more than a few digits, or an exponent, and puts the number into `store`.
 * @param start where the number starts.
 * @param offset the first byte that is not read yet.
 * @param mantissa the digits up to there, as an integer.
 * @param decimalsFrom where the digits behind the point start; 0 when there was no point yet.
 * @returns the offset behind the number.
 */
function readRest(
  bytes: Buffer,
  start: number,
  offset: number,
  mantissa: number,
  decimalsFrom: number,
  store: NumberStore,
  length: number,
): number {
  // The digits so far are the integer high + low, as long as two doubles hold it.
  let high = mantissa;
  let low = 0;
  let complete = true;
  let decimalsAt = decimalsFrom;
  let at = offset;
  for (;;) {
    const chunkStart = at;
    let chunk = 0;
    let digit = bytes[at]! ^ ZERO;
    for (const end = at + CHUNK_DIGITS; digit <= 9 && at < end; digit = bytes[at]! ^ ZERO) {
      chunk = (chunk * 10 + digit) | 0;
      at += 1;
    }
    if (at > chunkStart) {
      if (low !== 0) complete = false;
      const shift = POWERS_OF_TEN[at - chunkStart]!;
      const shifted = high * shift;
      const sum = shifted + chunk;
      low = productError(high, shift, shifted) + (chunk - (sum - shifted));
      high = sum;
    }
    if (digit <= 9) continue;
    if (decimalsAt !== 0 || bytes[at] !== POINT) break;
    at += 1;
    decimalsAt = at;
    if ((bytes[at]! ^ ZERO) > 9) throw jsonError(at, length, 'a digit');
  }
  let exponent = decimalsAt === 0 ? 0 : decimalsAt - at;
  let whole = decimalsAt === 0;
  if ((bytes[at]! | LOWER_CASE) === LOWER_E) {
    whole = false;
    at += 1;
    const sign = bytes[at];
    if (sign === PLUS || sign === MINUS) at += 1;
    if ((bytes[at]! ^ ZERO) > 9) throw jsonError(at, length, 'a digit');
    let written = 0;
    for (; (bytes[at]! ^ ZERO) <= 9; at += 1) {
      if (written < LARGEST_EXPONENT) written = written * 10 + (bytes[at]! ^ ZERO);
    }
    exponent += sign === MINUS ? -written : written;
  }
  let value = complete ? nearestDouble(high, low, exponent) : Number.NaN;
  if (Number.isNaN(value)) value = Math.abs(readFromText(bytes, start, at));
  if (bytes[start] === MINUS) value = -value;
  if (whole && Math.abs(value) > Number.MAX_SAFE_INTEGER) pushLarge(bytes, start, at, value, store);
  else store.push(value);
  return at;
}

/**
 * Reads numbers with commas between them onto the end of `store`, as far as they go. The numbers of a few digits that
 * most documents hold are read inline and with integers: a call that returned each of them would have to box it.
 * @param offset where the first one starts.
 * @param length bytes of the document, for errors. `bytes` must go on behind the last number and comma.
 * @param single read one number only.
 * @returns the offset behind the last one and, unless `single`, the white space after it; -Infinity is left to the caller.
 */
export function readNumbers(bytes: Buffer, offset: number, store: NumberStore, length: number, single: boolean): number {
  let at = offset;
  for (;;) {
    const start = at;
    if (bytes[at] === MINUS) at += 1;
    const end = at + CHUNK_DIGITS;
    let mantissa = bytes[at]! ^ ZERO;
    if (mantissa > 9) throw jsonError(at, length, 'a digit');
    at += 1;
    let digit = bytes[at]! ^ ZERO;
    if (mantissa === 0 && digit <= 9) throw jsonError(at, length, 'no digit after a leading 0');
    for (; digit <= 9 && at < end; digit = bytes[at]! ^ ZERO) {
      mantissa = (mantissa * 10 + digit) | 0;
      at += 1;
    }
    let decimalsAt = 0;
    if (bytes[at] === POINT) {
      at += 1;
      decimalsAt = at;
      digit = bytes[at]! ^ ZERO;
      if (digit > 9) throw jsonError(at, length, 'a digit');
      for (; digit <= 9 && at <= end; digit = bytes[at]! ^ ZERO) {
        mantissa = (mantissa * 10 + digit) | 0;
        at += 1;
      }
    }
    if (digit <= 9 || (bytes[at]! | LOWER_CASE) === LOWER_E) at = readRest(bytes, start, at, mantissa, decimalsAt, store, length);
    else {
      const value = decimalsAt === 0 ? mantissa : mantissa / POWERS_OF_TEN[at - decimalsAt]!;
      if (store.length === store.values.length) store.grow();
      store.values[store.length] = bytes[start] === MINUS ? -value : value;
      store.length += 1;
    }
    if (single) return at;
    let code = bytes[at];
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      at += 1;
      code = bytes[at];
    }
    if (code !== COMMA) return at;
    let next = at + 1;
    code = bytes[next];
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      next += 1;
      code = bytes[next];
    }
    if (!startsNumber(code) || (code === MINUS && bytes[next + 1] === UPPER_I)) return at;
    at = next;
  }
}
