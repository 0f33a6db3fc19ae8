import type { STORAGE } from './dtype.ts';

/** Memory that small arrays are cut out of, in bytes. */
const SLAB_BYTES = 256 * 1024;
/** Larger arrays get memory of their own. An array that is kept keeps its slab, so few of them must fill one. */
const MOST_BYTES = SLAB_BYTES / 16;
/** The largest element. */
const ALIGNMENT = 8;

type ArrayType = (typeof STORAGE)[keyof typeof STORAGE];

let slab = new ArrayBuffer(0);
let used = 0;

/**
 * An array of zeros. A small one shares its buffer with others, for each buffer costs its collection, which is more than
 * what a small tensor costs otherwise: only `byteOffset` and `byteLength` tell what is the array's own.
 */
export function smallArray<Type extends ArrayType>(type: Type, count: number): InstanceType<Type> {
  const bytes = count * type.BYTES_PER_ELEMENT;
  if (bytes === 0 || bytes > MOST_BYTES) return new type(count) as InstanceType<Type>;
  if (used + bytes > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    used = 0;
  }
  const array = new type(slab, used, count) as InstanceType<Type>;
  used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  return array;
}
