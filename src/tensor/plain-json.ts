import { NumericArray } from './numeric-array.ts';
import type { ScannedJson } from './scanned-json.ts';

/** A JSON document without numeric arrays. */
export type PlainJson = null | boolean | number | bigint | string | PlainJson[] | { [key: string]: PlainJson };

function nest(array: NumericArray): PlainJson[] {
  return Array.from({ length: array.shape[0]! }, (_element, index) => {
    const child = array.child(index);
    return child instanceof NumericArray ? nest(child) : child;
  });
}

/** The document with ordinary arrays in place of numeric ones, for the parts that go through a schema. */
export function toPlain(value: ScannedJson): PlainJson {
  if (value instanceof NumericArray) return nest(value);
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toPlain(each)]));
}
