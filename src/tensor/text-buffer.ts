const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const LOWER_E = 0x65;

/** Bytes that any number takes; the longest double has 24 characters. */
const NUMBER_ROOM = 32;

/** Numbers from here on, and integers from here on, are left to `String`: they have more digits than 32 bits hold. */
const LARGE = 1e9;
/** Numbers below are left to `String`, since nine digits of them take a power of ten that no double holds exactly. */
const SMALL = 1e-13;
/** Numbers below are written with an exponent, as `String` does. */
const EXPONENT_BELOW = 1e-6;

/** Six digits say some FP32 apart from its neighbours, nine say any (IEEE 754, 5.12.2). */
const FEWEST_DIGITS = 6;
const MOST_DIGITS = 9;

const LOWEST_DECADE = -14;
/** Lower ends of the decades from 1e-14 to 1e10. */
const DECADES = Float64Array.from({ length: 25 }, (_decade, index) => Number(`1e${index + LOWEST_DECADE}`));
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_power, exponent) => Number(`1e${exponent}`));

/**
 * ASCII text that is written piece by piece. It writes numbers of up to nine digits itself, several times as fast as
 * `String`, which looks for the shortest text of a double and so writes an FP32 with up to 17 digits.
 */
export class TextBuffer {
  #bytes: Buffer;
  #length = 0;
  /** Decade of the number before; its neighbour is seldom far. */
  #decade = 0;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafe(expectedBytes + NUMBER_ROOM);
  }

  /** Forgets what was written. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  toString(): string {
    return this.#bytes.toString('latin1', 0, this.#length);
  }

  /** Writes ASCII text. */
  text(text: string): void {
    this.#reserve(text.length);
    for (let index = 0; index < text.length; index += 1) this.#bytes[this.#length + index] = text.charCodeAt(index);
    this.#length += text.length;
  }

  comma(): void {
    this.#reserve(1);
    this.#bytes[this.#length] = COMMA;
    this.#length += 1;
  }

  /** Writes a finite number with as many digits as tell the double. */
  double(value: number): void {
    const size = Math.abs(value);
    if (size < LARGE && Math.trunc(size) === size) this.#decimal(value, size, 0);
    else if (!(size < LARGE && size >= SMALL)) this.text(String(value));
    else {
      const decimals = MOST_DIGITS - 1 - this.#decadeOf(size);
      const power = POWERS_OF_TEN[decimals]!;
      const digits = Math.round(size * power);
      if (digits / power === size) this.#decimal(value, digits, decimals);
      else this.text(String(value));
    }
  }

  /** Writes a finite FP32 with as many digits as tell it from its neighbours; the text reads back to the same FP32. */
  single(value: number): void {
    const size = Math.abs(value);
    if (!(size < LARGE && size >= SMALL)) return size === 0 ? this.#decimal(value, 0, 0) : this.text(String(value));
    if (Math.trunc(size) === size) return this.#decimal(value, size, 0);
    const decade = this.#decadeOf(size);
    const most = MOST_DIGITS - 1 - decade;
    for (let decimals = Math.max(FEWEST_DIGITS - 1 - decade, 0); decimals <= most; decimals += 1) {
      const power = POWERS_OF_TEN[decimals]!;
      const digits = Math.round(size * power);
      // A quotient of two exact doubles is the double that the text reads as.
      if (Math.fround(digits / power) === size) return this.#decimal(value, digits, decimals);
    }
    this.text(String(value));
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(this.#bytes.length * 2 + bytes);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** The exponent of the leading digit of a number from SMALL to LARGE. */
  #decadeOf(size: number): number {
    let decade = this.#decade;
    while (size >= DECADES[decade + 1 - LOWEST_DECADE]!) decade += 1;
    while (size < DECADES[decade - LOWEST_DECADE]!) decade -= 1;
    this.#decade = decade;
    return decade;
  }

  /** Writes digits × 10^-decimals, for an integer below 2^31, with the sign of `value`. */
  #decimal(value: number, digits: number, decimals: number): void {
    this.#reserve(NUMBER_ROOM);
    if (value < 0 || Object.is(value, -0)) {
      this.#bytes[this.#length] = MINUS;
      this.#length += 1;
    }
    let rest = digits | 0;
    let behind = decimals;
    while (behind > 0 && rest % 10 === 0) {
      rest = (rest / 10) | 0;
      behind -= 1;
    }
    if (behind > 0 && Math.abs(value) < EXPONENT_BELOW) return this.#scientific(rest, behind);
    let count = 1;
    for (let bound = 10; bound <= rest; bound *= 10) count += 1;
    // At least one digit stands before the point.
    const written = behind === 0 ? count : Math.max(count, behind + 1) + 1;
    let at = this.#length + written;
    this.#length = at;
    const bytes = this.#bytes;
    for (let index = 0; index < behind; index += 1) {
      at -= 1;
      bytes[at] = ZERO + (rest % 10);
      rest = (rest / 10) | 0;
    }
    if (behind > 0) {
      at -= 1;
      bytes[at] = POINT;
    }
    do {
      at -= 1;
      bytes[at] = ZERO + (rest % 10);
      rest = (rest / 10) | 0;
    } while (rest > 0);
  }

  /** Writes digits × 10^-decimals as 1.5e-7. */
  #scientific(digits: number, decimals: number): void {
    const text = String(digits);
    this.text(text.slice(0, 1));
    if (text.length > 1) this.text(`.${text.slice(1)}`);
    this.#bytes[this.#length] = LOWER_E;
    this.#length += 1;
    this.text(String(text.length - 1 - decimals));
  }
}
