import { elementCount } from './shape.ts';

/** The numbers of one document, in the order in which they were read. */
export class NumberStore {
  /** Room for numbers; only the first `length` count. */
  values: Float64Array;
  length = 0;
  /** The integers that a double does not hold exactly: their indexes, ascending, and their values. */
  readonly bigIndexes: number[] = [];
  readonly bigValues: bigint[] = [];

  constructor(values: Float64Array) {
    this.values = values;
  }

  push(value: number): void {
    if (this.length === this.values.length) this.grow();
    this.values[this.length] = value;
    this.length += 1;
  }

  pushBig(value: bigint): void {
    this.bigIndexes.push(this.length);
    this.bigValues.push(value);
    this.push(Number(value));
  }

  grow(): void {
    const grown = new Float64Array(this.values.length * 2);
    grown.set(this.values);
    this.values = grown;
  }

  /** Forgets the numbers from `length` on. */
  truncate(length: number): void {
    const bigs = this.firstBig(length);
    this.bigIndexes.length = bigs;
    this.bigValues.length = bigs;
    this.length = length;
  }

  /** First position in the list of big integers whose index is at least `index`. */
  firstBig(index: number): number {
    let low = 0;
    let high = this.bigIndexes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.bigIndexes[middle]! < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** One number, exact. */
  at(index: number): number | bigint {
    const big = this.firstBig(index);
    return this.bigIndexes[big] === index ? this.bigValues[big]! : this.values[index]!;
  }
}

/**
 * A regular array of JSON numbers: nested arrays of equal lengths whose leaves are all numbers. It is a range of its
 * document's numbers, which went straight from the text into one Float64Array; that is what makes reading a tensor cheap.
 */
export class NumericArray {
  readonly shape: readonly number[];
  readonly #store: NumberStore;
  readonly #start: number;

  constructor(shape: readonly number[], store: NumberStore, start: number) {
    this.shape = shape;
    this.#store = store;
    this.#start = start;
  }

  /** Product of `shape`. */
  get count(): number {
    return elementCount(this.shape, 'shape');
  }

  /** Row-major, exactly the product of `shape` numbers; a view that is made at each call. */
  get values(): Float64Array {
    return this.#store.values.subarray(this.#start, this.#start + this.count);
  }

  /** The integers that a double does not hold exactly, by their index in `values`. Made at each call. */
  get bigints(): ReadonlyMap<number, bigint> | undefined {
    const { bigIndexes, bigValues } = this.#store;
    const first = this.#store.firstBig(this.#start);
    const end = this.#store.firstBig(this.#start + this.count);
    if (first === end) return undefined;
    const found = new Map<number, bigint>();
    for (let at = first; at < end; at += 1) found.set(bigIndexes[at]! - this.#start, bigValues[at]!);
    return found;
  }

  /** One number by its flat index, exact. */
  at(index: number): number | bigint {
    return this.#store.at(this.#start + index);
  }

  /** Element `index` of the outermost axis: an array of a rank less, or a number. */
  child(index: number): NumericArray | number | bigint {
    const [, ...inner] = this.shape;
    if (inner.length === 0) return this.at(index);
    return new NumericArray(inner, this.#store, this.#start + index * elementCount(inner, 'shape'));
  }
}
