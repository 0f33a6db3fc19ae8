import { SlipwayError } from '../errors/slipway-error.ts';
import { jsonError } from './json-error.ts';
import { readNumbers, startsNumber } from './json-number.ts';
import { endOfString, readString } from './json-string.ts';
import { NumberStore, NumericArray } from './numeric-array.ts';
import type { ScannedJson } from './scanned-json.ts';
import { smallArray } from './small-array.ts';

export { NumericArray } from './numeric-array.ts';
export type { ScannedJson } from './scanned-json.ts';

export interface ScanOptions {
  /** Deepest nesting of arrays and objects, at most 1,000. Default 64. */
  readonly maxDepth?: number;
  /** Take the bare words NaN, Infinity and -Infinity, which JSON does not have, for numbers. Default false. */
  readonly nonFinite?: boolean;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const UPPER_I = 0x49;
const UPPER_N = 0x4e;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** The stack holds about ten times as many levels. */
const DEPTH_LIMIT = 1_000;

/** Numbers that a document is first given room for; beyond, the room doubles. */
const FIRST_ROOM = 16_384;

/**
 * Room that one document after the other reads its numbers into before they are cut to size: it is not cleared for
 * each, and most documents need no second one. A document is read in one go, so no two ever share it.
 */
const sharedRoom = new Float64Array(FIRST_ROOM);

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis += 1) if (a[axis] !== b[axis]) return false;
  return true;
}

/** A reader of one document; RFC 8259. */
class Scanner {
  readonly #bytes: Buffer;
  /** Bytes of the document; `#bytes` may have one more. */
  readonly #length: number;
  readonly #maxDepth: number;
  readonly #nonFinite: boolean;
  readonly #numbers = new NumberStore(sharedRoom);
  #offset = 0;

  constructor(document: Buffer, maxDepth: number, nonFinite: boolean) {
    let length = document.length;
    while (length > 0 && isSpace(document[length - 1])) length -= 1;
    // Numbers are read without a look at the end. A read beyond it does no harm but to the speed: V8 then compiles the
    // loops for it, and every later document takes twice as long. An object or an array ends with a byte that is in no
    // number; anything else gets one more byte.
    const last = document[length - 1];
    this.#bytes = last === CLOSE_OBJECT || last === CLOSE_ARRAY ? document : Buffer.concat([document.subarray(0, length)], length + 1);
    this.#length = length;
    this.#maxDepth = Math.min(maxDepth, DEPTH_LIMIT);
    this.#nonFinite = nonFinite;
  }

  document(): ScannedJson {
    this.#skipSpace();
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#offset < this.#length) throw this.#error('the end of the document');
    const store = this.#numbers;
    const own = smallArray(Float64Array, store.length);
    own.set(store.values.subarray(0, store.length));
    store.values = own;
    return value;
  }

  #error(expected: string): SlipwayError {
    return jsonError(this.#offset, this.#length, expected);
  }

  /** The byte at the offset; 0, which is in no JSON, at the end. */
  #peek(): number {
    return this.#offset < this.#length ? this.#bytes[this.#offset]! : 0;
  }

  #skipSpace(): void {
    while (isSpace(this.#peek())) this.#offset += 1;
  }

  #value(depth: number): ScannedJson {
    const code = this.#peek();
    switch (code) {
      case QUOTE:
        return this.#string();
      case OPEN_ARRAY:
        return this.#array(depth + 1);
      case OPEN_OBJECT:
        return this.#object(depth + 1);
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default: {
        if (!this.#startsNumber()) throw this.#error('a value');
        const store = this.#numbers;
        this.#number();
        const value = store.at(store.length - 1);
        store.truncate(store.length - 1);
        return value;
      }
    }
  }

  #word<Value>(word: string, value: Value): Value {
    if (!this.#isWord(word, this.#offset)) throw this.#error(word);
    this.#offset += word.length;
    return value;
  }

  #isWord(word: string, offset: number): boolean {
    if (offset + word.length > this.#length) return false;
    for (let index = 0; index < word.length; index += 1) if (this.#bytes[offset + index] !== word.charCodeAt(index)) return false;
    return true;
  }

  /** Whether one of the words for numbers may stand here. */
  #startsWord(): boolean {
    if (!this.#nonFinite) return false;
    const code = this.#peek();
    return code === UPPER_N || code === UPPER_I || (code === MINUS && this.#bytes[this.#offset + 1] === UPPER_I);
  }

  #startsNumber(): boolean {
    return startsNumber(this.#peek()) || this.#startsWord();
  }

  /** Reads one number, or one of the words for numbers, onto the end of the store. */
  #number(): void {
    if (!this.#startsWord()) this.#offset = readNumbers(this.#bytes, this.#offset, this.#numbers, this.#length, true);
    else if (this.#peek() === UPPER_N) this.#numbers.push(this.#word('NaN', Number.NaN));
    else if (this.#peek() === UPPER_I) this.#numbers.push(this.#word('Infinity', Number.POSITIVE_INFINITY));
    else this.#numbers.push(this.#word('-Infinity', Number.NEGATIVE_INFINITY));
  }

  #string(): string {
    const start = this.#offset;
    const end = endOfString(this.#bytes, start, this.#length);
    this.#offset = end;
    return readString(this.#bytes, start, end);
  }

  #checkDepth(depth: number): void {
    if (depth <= this.#maxDepth) return;
    throw new SlipwayError(
      'INVALID_JSON',
      `The body is nested too deep at byte ${this.#offset}; at most ${this.#maxDepth} levels are read.`,
    );
  }

  #object(depth: number): ScannedJson {
    this.#checkDepth(depth);
    // Without a prototype, a member that is called __proto__ is a member like any other.
    const object = Object.create(null) as { [key: string]: ScannedJson };
    this.#offset += 1;
    this.#skipSpace();
    if (this.#peek() === CLOSE_OBJECT) {
      this.#offset += 1;
      return object;
    }
    do {
      if (this.#peek() !== QUOTE) throw this.#error('a name in quotes');
      const name = this.#string();
      this.#skipSpace();
      if (this.#peek() !== COLON) throw this.#error('":"');
      this.#offset += 1;
      this.#skipSpace();
      object[name] = this.#value(depth);
    } while (!this.#listEnds(CLOSE_OBJECT, '"," or "}"'));
    return object;
  }

  /** After an element: true behind the end of the list, false at the next element. */
  #listEnds(close: number, expected: string): boolean {
    this.#skipSpace();
    const code = this.#peek();
    if (code !== close && code !== COMMA) throw this.#error(expected);
    this.#offset += 1;
    if (code === close) return true;
    this.#skipSpace();
    return false;
  }

  #array(depth: number): ScannedJson {
    this.#checkDepth(depth);
    this.#offset += 1;
    this.#skipSpace();
    const store = this.#numbers;
    const start = store.length;
    if (this.#peek() === CLOSE_ARRAY) {
      this.#offset += 1;
      return new NumericArray([0], store, start);
    }
    if (!this.#startsNumber()) return this.#list(depth, start);
    do {
      if (this.#startsWord()) this.#number();
      else this.#offset = readNumbers(this.#bytes, this.#offset, store, this.#length, false);
      if (this.#listEnds(CLOSE_ARRAY, '"," or "]"')) return new NumericArray([store.length - start], store, start);
    } while (this.#startsNumber());
    // Something else among the numbers: it is an ordinary list.
    const elements: ScannedJson[] = [];
    for (let index = start; index < store.length; index += 1) elements.push(store.at(index));
    store.truncate(start);
    return this.#mixedList(depth, elements);
  }

  /** A list that does not start with a number. Regular arrays of one shape are together an array of a rank more. */
  #list(depth: number, start: number): ScannedJson {
    let first: NumericArray | undefined;
    let count = 0;
    let row = -1;
    do {
      if (row > 0 && this.#isRow(row)) {
        count += 1;
        continue;
      }
      const element = this.#value(depth);
      if (first === undefined && element instanceof NumericArray && element.shape.length === 1) row = element.shape[0]!;
      if (element instanceof NumericArray && sameShape((first ??= element).shape, element.shape)) count += 1;
      else {
        const elements: ScannedJson[] = [];
        // Those before lie one behind the other in the store, so they need not have been kept.
        if (first !== undefined && count > 0) {
          const all = new NumericArray([count, ...first.shape], this.#numbers, start);
          for (let index = 0; index < count; index += 1) elements.push(all.child(index));
        }
        elements.push(element);
        return this.#listEnds(CLOSE_ARRAY, '"," or "]"') ? elements : this.#mixedList(depth, elements);
      }
    } while (!this.#listEnds(CLOSE_ARRAY, '"," or "]"'));
    return new NumericArray([count, ...first!.shape], this.#numbers, start);
  }

  /** Reads an array of exactly `length` numbers onto the store, without an object for it; reads nothing when it is another. */
  #isRow(length: number): boolean {
    if (this.#peek() !== OPEN_ARRAY) return false;
    const store = this.#numbers;
    const offset = this.#offset;
    const before = store.length;
    this.#offset += 1;
    this.#skipSpace();
    if (startsNumber(this.#peek()) && !this.#startsWord()) {
      this.#offset = readNumbers(this.#bytes, this.#offset, store, this.#length, false);
      if (store.length - before === length && this.#peek() === CLOSE_ARRAY) {
        this.#offset += 1;
        return true;
      }
    }
    this.#offset = offset;
    store.truncate(before);
    return false;
  }

  #mixedList(depth: number, elements: ScannedJson[]): ScannedJson[] {
    do elements.push(this.#value(depth));
    while (!this.#listEnds(CLOSE_ARRAY, '"," or "]"'));
    return elements;
  }
}

function isSpace(code: number | undefined): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/**
 * Reads a JSON document from UTF-8 bytes, strictly by RFC 8259; of members of one name the last counts. An integer that
 * is written without fraction and exponent and that no double holds is a bigint.
 * @throws SlipwayError INVALID_JSON with the byte at which it stops being JSON, and for a number beyond the doubles.
 */
export function parseJson(bytes: Uint8Array, { maxDepth = 64, nonFinite = false }: ScanOptions = {}): ScannedJson {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new Scanner(buffer, maxDepth, nonFinite).document();
}
