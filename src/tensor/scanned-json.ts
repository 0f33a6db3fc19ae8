import type { NumericArray } from './numeric-array.ts';

/** A JSON document in which every regular array of numbers is a `NumericArray`. Objects have no prototype. */
export type ScannedJson = null | boolean | number | bigint | string | NumericArray | ScannedJson[] | { [key: string]: ScannedJson };
