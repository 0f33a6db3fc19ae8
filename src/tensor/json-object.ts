import { NumericArray } from './numeric-array.ts';
import type { ScannedJson } from './scanned-json.ts';

export type JsonObject = { readonly [key: string]: ScannedJson };

/** Whether a scanned value is an object; numeric arrays are objects of JavaScript, too. */
export function isJsonObject(value: ScannedJson | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumericArray);
}
