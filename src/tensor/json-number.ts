import { SlipwayError } from '../errors/slipway-error.ts';
import { jsonError } from './json-error.ts';
import type { NumberStore } from './numeric-array.ts';

const COMMA = 0x2c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const UPPER_I = 0x49;
/** A byte XOR this is 0 to 9 for the digits and more for every other byte. */
const ZERO = 0x30;

/** Powers of ten that a double holds exactly. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_power, exponent) => Number(`1e${exponent}`));
const LARGEST_POWER = 22;

/** Digits that fit a 32-bit integer whatever they are, which is the fastest to add up. */
const SHORT_DIGITS = 9;

/** A mantissa below this can take one more digit and stays below 2^53. */
const HEAD_LIMIT = 9e14;
/** Digits kept behind the head; with it they stay below the 2^106 that two doubles hold exactly. */
const TAIL_DIGITS = 15;

/** 2^27 + 1 splits a double into two halves whose products are exact (T. J. Dekker, 1971). */
const SPLITTER = 134_217_729;
/** Bound of the relative error of `nearest`, taken a hundred times larger than its few roundings of 2^-104 make. */
const ERROR_BOUND = 2 ** -95;

export function startsNumber(code: number | undefined): boolean {
  return code !== undefined && (code === MINUS || (code ^ ZERO) <= 9);
}

/** What a × b loses when it is rounded to `product`. */
function productError(a: number, b: number, product: number): number {
  let wide = SPLITTER * a;
  const aHigh = wide - (wide - a);
  const aLow = a - aHigh;
  wide = SPLITTER * b;
  const bHigh = wide - (wide - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/**
 * The double nearest to (head × 10^tailDigits + tail) × 10^exponent, reckoned with a pair of doubles (Dekker 1971), or
 * NaN when the pair lies too near to the middle of two doubles to tell. Numbers of 16 digits and more are how JSON
 * writers print the doubles of computations, and reading them from text costs ten times as much.
 */
function nearest(head: number, tailDigits: number, tail: number, exponent: number): number {
  const shift = POWERS_OF_TEN[tailDigits]!;
  const shifted = head * shift;
  let low = productError(head, shift, shifted) + tail;
  let high = shifted + low;
  low -= high - shifted;
  if (exponent !== 0) {
    const power = POWERS_OF_TEN[Math.abs(exponent)]!;
    const first = exponent < 0 ? high / power : high * power;
    if (exponent < 0) {
      const product = first * power;
      low = (high - product - productError(first, power, product) + low) / power;
    } else low = productError(high, power, first) + low * power;
    high = first + low;
    low -= high - first;
  }
  const error = high * ERROR_BOUND;
  return high + (low + error) === high && high + (low - error) === high ? high : Number.NaN;
}

function readFromText(bytes: Buffer, start: number, end: number): number {
  const value = Number(bytes.toString('latin1', start, end));
  if (Number.isFinite(value)) return value;
  throw new SlipwayError('INVALID_JSON', `The number at byte ${start} is beyond the range of a double (±1.797e308).`);
}

/**
 * Reads one number of any length onto the end of `store`.
 * @param length bytes of the document, for errors; `bytes` must go on behind a number.
 * @returns the offset behind it.
 */
export function readNumber(bytes: Buffer, start: number, store: NumberStore, length: number): number {
  let at = start;
  const negative = bytes[at] === MINUS;
  if (negative) at += 1;
  let head = 0;
  let tail = 0;
  let tailDigits = 0;
  let exponent = 0;
  let whole = true;
  let complete = true;
  let digit = bytes[at]! ^ ZERO;
  if (digit > 9) throw jsonError(at, length, 'a digit');
  if (digit === 0) {
    at += 1;
    digit = bytes[at]! ^ ZERO;
    if (digit <= 9) throw jsonError(at, length, 'no digit after a leading 0');
  }
  for (let behindPoint = false; ; ) {
    for (; digit <= 9; digit = bytes[at]! ^ ZERO) {
      if (head < HEAD_LIMIT) head = head * 10 + digit;
      else if (tailDigits < TAIL_DIGITS) {
        tail = tail * 10 + digit;
        tailDigits += 1;
      } else complete = false;
      if (behindPoint) exponent -= 1;
      at += 1;
    }
    if (behindPoint || bytes[at] !== POINT) break;
    behindPoint = true;
    whole = false;
    at += 1;
    digit = bytes[at]! ^ ZERO;
    if (digit > 9) throw jsonError(at, length, 'a digit');
  }
  if ((bytes[at]! | 0x20) === 0x65) {
    whole = false;
    at += 1;
    const sign = bytes[at];
    if (sign === PLUS || sign === MINUS) at += 1;
    if ((bytes[at]! ^ ZERO) > 9) throw jsonError(at, length, 'a digit');
    let written = 0;
    for (; (bytes[at]! ^ ZERO) <= 9; at += 1) written = Math.min(written * 10 + (bytes[at]! ^ ZERO), 1e6);
    exponent += sign === MINUS ? -written : written;
  }
  let value = Number.NaN;
  if (head === 0 && complete) value = 0;
  else if (complete && exponent >= -LARGEST_POWER && exponent <= LARGEST_POWER) {
    // One rounding of two exact doubles gives the nearest (W. D. Clinger, How to read floating point numbers, 1990).
    if (tailDigits > 0) value = nearest(head, tailDigits, tail, exponent);
    else value = exponent < 0 ? head / POWERS_OF_TEN[-exponent]! : head * POWERS_OF_TEN[exponent]!;
  }
  if (Number.isNaN(value)) value = Math.abs(readFromText(bytes, start, at));
  const signed = negative ? -value : value;
  if (whole && value > Number.MAX_SAFE_INTEGER) {
    const integer = BigInt(bytes.toString('latin1', start, at));
    if (integer === BigInt(signed)) store.push(signed);
    else store.pushBig(integer);
  } else store.push(signed);
  return at;
}

/**
 * Reads numbers with commas between them onto the end of `store`, as far as they go. Everything is inline and integer
 * for the short numbers that most documents hold: a call that returned each one would have to box it.
 * @param offset where the first one starts.
 * @returns the offset behind the last one and the white space after it; -Infinity is left to the caller.
 */
export function readNumbers(bytes: Buffer, offset: number, store: NumberStore, length: number): number {
  let at = offset;
  for (;;) {
    const start = at;
    const negative = bytes[at] === MINUS;
    if (negative) at += 1;
    const firstDigit = at;
    let mantissa = bytes[at]! ^ ZERO;
    at += 1;
    let digit = bytes[at]! ^ ZERO;
    let short = mantissa <= 9 && !(mantissa === 0 && digit <= 9);
    if (short) {
      const end = firstDigit + SHORT_DIGITS;
      for (; digit <= 9 && at < end; digit = bytes[at]! ^ ZERO) {
        mantissa = (mantissa * 10 + digit) | 0;
        at += 1;
      }
      let decimals = 0;
      if (bytes[at] === POINT) {
        at += 1;
        const firstDecimal = at;
        for (digit = bytes[at]! ^ ZERO; digit <= 9 && at <= end; digit = bytes[at]! ^ ZERO) {
          mantissa = (mantissa * 10 + digit) | 0;
          at += 1;
        }
        decimals = at - firstDecimal;
        short = decimals > 0;
      }
      short &&= digit > 9 && (bytes[at]! | 0x20) !== 0x65;
      if (short) {
        const value = mantissa / POWERS_OF_TEN[decimals]!;
        if (store.length === store.values.length) store.grow();
        store.values[store.length] = negative ? -value : value;
        store.length += 1;
      }
    }
    if (!short) at = readNumber(bytes, start, store, length);
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
