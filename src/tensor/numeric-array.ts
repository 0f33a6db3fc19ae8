/**
 * A regular array of JSON numbers: nested arrays of equal lengths whose leaves are all numbers. The numbers went
 * straight from the text into one Float64Array, which is what makes reading a tensor cheap.
 */
export class NumericArray {
  readonly shape: readonly number[];
  /** Row-major, exactly the product of `shape` numbers. */
  readonly values: Float64Array;
  /** The integers that a double can't hold, by their index in `values`. */
  readonly bigints: ReadonlyMap<number, bigint> | undefined;

  constructor(shape: readonly number[], values: Float64Array, bigints: ReadonlyMap<number, bigint> | undefined) {
    this.shape = shape;
    this.values = values;
    this.bigints = bigints;
  }

  /** One number, exact. */
  at(index: number): number | bigint {
    return this.bigints?.get(index) ?? this.values[index]!;
  }
}

/** The numbers of one document in the order in which they were read; arrays are ranges of it. */
export class NumberBuffer {
  #values = new Float64Array(1_024);
  #length = 0;
  /** Integers that a double can't hold, in ascending order of their index. */
  readonly #bigIndexes: number[] = [];
  readonly #bigValues: bigint[] = [];

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  pushBig(value: bigint): void {
    this.#bigIndexes.push(this.#length);
    this.#bigValues.push(value);
    this.push(Number(value));
  }

  /** First position in the list of big integers whose index is at least `index`. */
  #firstBig(index: number): number {
    let low = 0;
    let high = this.#bigIndexes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#bigIndexes[middle]! < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The numbers from `start` as an array of this shape. */
  slice(start: number, shape: readonly number[]): NumericArray {
    let count = 1;
    for (const size of shape) count *= size;
    const values = this.#values.subarray(start, start + count);
    let bigints: Map<number, bigint> | undefined;
    for (let at = this.#firstBig(start); at < this.#bigIndexes.length && this.#bigIndexes[at]! < start + count; at += 1) {
      (bigints ??= new Map()).set(this.#bigIndexes[at]! - start, this.#bigValues[at]!);
    }
    return new NumericArray(shape, values, bigints);
  }

  /** One number, exact. */
  at(index: number): number | bigint {
    const big = this.#firstBig(index);
    return this.#bigIndexes[big] === index ? this.#bigValues[big]! : this.#values[index]!;
  }
}
