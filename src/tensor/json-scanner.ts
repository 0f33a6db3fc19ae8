import { SlipwayError } from '../errors/slipway-error.ts';
import { NumberBuffer, NumericArray } from './numeric-array.ts';

export { NumericArray } from './numeric-array.ts';

/** A JSON document in which every regular array of numbers is a `NumericArray`. Objects have no prototype. */
export type ScannedJson = null | boolean | number | bigint | string | NumericArray | ScannedJson[] | { [key: string]: ScannedJson };

/** The same without numeric arrays. */
export type PlainJson = null | boolean | number | bigint | string | PlainJson[] | { [key: string]: PlainJson };

export interface ScanOptions {
  /** Deepest nesting of arrays and objects. Default 64. */
  readonly maxDepth?: number;
  /** Take the bare words NaN, Infinity and -Infinity, which JSON does not have, for numbers. Default false. */
  readonly nonFinite?: boolean;
}

/** A regular array of numbers that is not cut out of the buffer yet, since an array around it may be regular too. */
class NumericRange {
  readonly shape: readonly number[];
  readonly start: number;

  constructor(shape: readonly number[], start: number) {
    this.shape = shape;
    this.start = start;
  }
}

type Element = ScannedJson | NumericRange;

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Powers of ten that a double holds exactly. A mantissa below 2^53 times or over one of these is rounded once, so the
 * result is the nearest double (W. D. Clinger, How to read floating point numbers accurately, 1990).
 */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_power, exponent) => Number(`1e${exponent}`));

/** A mantissa that can take one more digit and stays below 2^53. */
const MANTISSA_LIMIT = 9e14;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isDigit(code: number | undefined): boolean {
  return code !== undefined && code >= ZERO && code <= ZERO + 9;
}

function isNumberStart(code: number | undefined): boolean {
  return code === MINUS || isDigit(code);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** A reader of one document; RFC 8259. */
class Scanner {
  readonly #bytes: Buffer;
  readonly #maxDepth: number;
  readonly #nonFinite: boolean;
  readonly #numbers = new NumberBuffer();
  #offset = 0;
  /** Set by `#number` when the number is an integer that a double can't hold. */
  #big: bigint | undefined;

  constructor(bytes: Buffer, maxDepth: number, nonFinite: boolean) {
    this.#bytes = bytes;
    this.#maxDepth = maxDepth;
    this.#nonFinite = nonFinite;
  }

  document(): ScannedJson {
    this.#skipSpace();
    const value = this.#cutOut(this.#value(0));
    this.#skipSpace();
    if (this.#offset < this.#bytes.length) throw this.#error('the end');
    return value;
  }

  #error(expected: string): SlipwayError {
    const found = this.#offset < this.#bytes.length ? '' : '; the body ends there';
    return new SlipwayError('INVALID_JSON', `The body is not valid JSON: expected ${expected} at byte ${this.#offset}${found}.`);
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#bytes[this.#offset];
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#offset += 1;
    }
  }

  #cutOut(element: Element): ScannedJson {
    return element instanceof NumericRange ? this.#numbers.slice(element.start, element.shape) : element;
  }

  #value(depth: number): Element {
    const code = this.#bytes[this.#offset];
    if (isNumberStart(code)) {
      const value = this.#number();
      return this.#big ?? value;
    }
    switch (code) {
      case QUOTE:
        return this.#string();
      case OPEN_ARRAY:
        return this.#array(depth + 1);
      case OPEN_OBJECT:
        return this.#object(depth + 1);
      default:
        return this.#word();
    }
  }

  #word(): ScannedJson {
    if (this.#takeWord('true')) return true;
    if (this.#takeWord('false')) return false;
    if (this.#takeWord('null')) return null;
    if (this.#nonFinite && this.#takeWord('NaN')) return Number.NaN;
    if (this.#nonFinite && this.#takeWord('Infinity')) return Number.POSITIVE_INFINITY;
    throw this.#error('a value');
  }

  #takeWord(word: string): boolean {
    const end = this.#offset + word.length;
    if (this.#bytes.toString('latin1', this.#offset, end) !== word) return false;
    this.#offset = end;
    return true;
  }

  #checkDepth(depth: number): void {
    if (depth <= this.#maxDepth) return;
    throw new SlipwayError('INVALID_JSON', `The body is nested too deep at byte ${this.#offset}; at most ${this.#maxDepth} levels are read.`);
  }

  /** Reads a number; `#big` tells of an integer that the result does not hold exactly. */
  #number(): number {
    const bytes = this.#bytes;
    const start = this.#offset;
    let at = start;
    const negative = bytes[at] === MINUS;
    if (negative) at += 1;
    let mantissa = 0;
    let exact = true;
    let exponent = 0;
    let digit = bytes[at]! - ZERO;
    if (!(digit >= 0 && digit <= 9)) return this.#negativeInfinity(at);
    if (digit === 0) at += 1;
    else {
      do {
        if (mantissa < MANTISSA_LIMIT) mantissa = mantissa * 10 + digit;
        else exact = false;
        at += 1;
        digit = bytes[at]! - ZERO;
      } while (digit >= 0 && digit <= 9);
    }
    let integral = true;
    if (bytes[at] === POINT) {
      integral = false;
      at += 1;
      digit = bytes[at]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) throw this.#errorAt(at, 'a digit');
      do {
        if (mantissa < MANTISSA_LIMIT) {
          mantissa = mantissa * 10 + digit;
          exponent -= 1;
        } else exact = false;
        at += 1;
        digit = bytes[at]! - ZERO;
      } while (digit >= 0 && digit <= 9);
    }
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      integral = false;
      at += 1;
      const sign = bytes[at];
      if (sign === 0x2b || sign === MINUS) at += 1;
      if (!isDigit(bytes[at])) throw this.#errorAt(at, 'a digit');
      let written = 0;
      while (isDigit(bytes[at])) {
        // Far beyond the range of a double; more digits change nothing.
        if (written < 100_000) written = written * 10 + bytes[at]! - ZERO;
        at += 1;
      }
      exponent += sign === MINUS ? -written : written;
    }
    this.#offset = at;
    this.#big = undefined;
    if (!exact || exponent > 22 || exponent < -22) return this.#slowNumber(start, at, integral);
    const value = exponent < 0 ? mantissa / POWERS_OF_TEN[-exponent]! : mantissa * POWERS_OF_TEN[exponent]!;
    return negative ? -value : value;
  }

  #slowNumber(start: number, end: number, integral: boolean): number {
    const text = this.#bytes.toString('latin1', start, end);
    const value = Number(text);
    if (!Number.isFinite(value)) {
      throw new SlipwayError('INVALID_JSON', `The number at byte ${start} is beyond the range of a double.`);
    }
    if (integral && !Number.isSafeInteger(value)) this.#big = BigInt(text);
    return value;
  }

  #negativeInfinity(at: number): number {
    this.#offset = at;
    if (!this.#nonFinite || !this.#takeWord('Infinity')) throw this.#errorAt(at, 'a digit');
    this.#big = undefined;
    return Number.NEGATIVE_INFINITY;
  }

  #errorAt(offset: number, expected: string): SlipwayError {
    this.#offset = offset;
    return this.#error(expected);
  }

  #string(): string {
    const bytes = this.#bytes;
    const start = this.#offset + 1;
    let at = start;
    let plain = true;
    let escaped = false;
    for (;;) {
      const code = bytes[at];
      if (code === undefined || code < 0x20) throw this.#errorAt(at, code === undefined ? 'the end of the string' : 'no control character');
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        escaped = true;
        at += 1;
      } else if (code > 0x7f) plain = false;
      at += 1;
    }
    this.#offset = at + 1;
    if (plain && !escaped) return bytes.toString('latin1', start, at);
    try {
      return escaped ? (JSON.parse(utf8.decode(bytes.subarray(start - 1, at + 1))) as string) : utf8.decode(bytes.subarray(start, at));
    } catch {
      throw this.#errorAt(start, 'a string in UTF-8 with valid escapes');
    }
  }

  #object(depth: number): ScannedJson {
    this.#checkDepth(depth);
    const object = Object.create(null) as { [key: string]: ScannedJson };
    this.#offset += 1;
    this.#skipSpace();
    if (this.#bytes[this.#offset] === CLOSE_OBJECT) {
      this.#offset += 1;
      return object;
    }
    for (;;) {
      if (this.#bytes[this.#offset] !== QUOTE) throw this.#error('a name in quotes');
      const key = this.#string();
      this.#skipSpace();
      if (this.#bytes[this.#offset] !== COLON) throw this.#error('":"');
      this.#offset += 1;
      this.#skipSpace();
      object[key] = this.#cutOut(this.#value(depth));
      if (this.#listEnds(CLOSE_OBJECT, '"," or "}"')) return object;
    }
  }

  /** After an element: true at the end of the list, false with the offset at the next element. */
  #listEnds(close: number, expected: string): boolean {
    this.#skipSpace();
    const code = this.#bytes[this.#offset];
    if (code !== close && code !== COMMA) throw this.#error(expected);
    this.#offset += 1;
    if (code === close) return true;
    this.#skipSpace();
    return false;
  }

  #array(depth: number): Element {
    this.#checkDepth(depth);
    this.#offset += 1;
    this.#skipSpace();
    const start = this.#numbers.length;
    const code = this.#bytes[this.#offset];
    if (code === CLOSE_ARRAY) {
      this.#offset += 1;
      return new NumericRange([0], start);
    }
    if (isNumberStart(code) || (this.#nonFinite && (code === 0x4e || code === 0x49))) return this.#numberList(depth, start);
    return this.#elementList(depth, start, []);
  }

  /** The tight loop: numbers, one after the other, straight into the buffer. */
  #numberList(depth: number, start: number): Element {
    const bytes = this.#bytes;
    const numbers = this.#numbers;
    for (;;) {
      const code = bytes[this.#offset];
      if (isNumberStart(code)) {
        const value = this.#number();
        if (this.#big === undefined) numbers.push(value);
        else numbers.pushBig(this.#big);
      } else if (this.#nonFinite && (code === 0x4e || code === 0x49)) numbers.push(this.#word() as number);
      else break;
      const next = bytes[this.#offset];
      if (next === COMMA) {
        this.#offset += 1;
        const after = bytes[this.#offset];
        if (after === 0x20 || after === 0x0a || after === 0x0d || after === 0x09) this.#skipSpace();
      } else if (next === CLOSE_ARRAY) {
        this.#offset += 1;
        return new NumericRange([numbers.length - start], start);
      } else if (this.#listEnds(CLOSE_ARRAY, '"," or "]"')) return new NumericRange([numbers.length - start], start);
    }
    // Something else among the numbers: an ordinary list from here on.
    const elements: Element[] = [];
    for (let index = start; index < numbers.length; index += 1) elements.push(numbers.at(index));
    return this.#elementList(depth, start, elements);
  }

  #elementList(depth: number, start: number, elements: Element[]): Element {
    let regular = elements.length === 0;
    do {
      const element = this.#value(depth);
      const [first] = elements;
      if (!(element instanceof NumericRange) || (first instanceof NumericRange && !sameShape(first.shape, element.shape))) regular = false;
      elements.push(element);
    } while (!this.#listEnds(CLOSE_ARRAY, '"," or "]"'));
    const [first] = elements;
    // Regular arrays of equal shape lie behind each other in the buffer: together they are one array of a rank more.
    if (regular && first instanceof NumericRange) return new NumericRange([elements.length, ...first.shape], start);
    return elements.map((element) => this.#cutOut(element));
  }
}

/**
 * Reads a JSON document from UTF-8 bytes.
 * @throws SlipwayError INVALID_JSON with the byte at which it stops being JSON.
 */
export function parseJson(bytes: Uint8Array, { maxDepth = 64, nonFinite = false }: ScanOptions = {}): ScannedJson {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new Scanner(buffer, maxDepth, nonFinite).document();
}

function nest(array: NumericArray, axis: number, start: number): PlainJson[] {
  const size = array.shape[axis]!;
  if (axis === array.shape.length - 1) return Array.from({ length: size }, (_element, index) => array.at(start + index));
  let stride = 1;
  for (const inner of array.shape.slice(axis + 1)) stride *= inner;
  return Array.from({ length: size }, (_element, index) => nest(array, axis + 1, start + index * stride));
}

/** The document with ordinary arrays in place of numeric ones, for the parts that go through a schema. */
export function toPlain(value: ScannedJson): PlainJson {
  if (value instanceof NumericArray) return nest(value, 0, 0);
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toPlain(each)]));
}
