import { decodeJsonTensor } from '../../../tensor/json-decode.ts';
import { NumericArray } from '../../../tensor/numeric-array.ts';
import type { ScannedJson } from '../../../tensor/scanned-json.ts';
import type { DecodeFeature, Example } from '../examples.ts';
import { invalidRequest } from '../../../errors/invalid-request.ts';
import { isJsonObject, type JsonObject } from '../../../tensor/json-object.ts';

/** A single value is a list of one. */
function asList(value: ScannedJson): ScannedJson {
  return Array.isArray(value) || value instanceof NumericArray ? value : [value];
}

function featuresOf(value: ScannedJson | undefined, path: string): [string, DecodeFeature][] {
  if (!isJsonObject(value)) throw invalidRequest(path, 'must be an object of features by name');
  return Object.entries(value).map(([name, feature]) => [
    name,
    ({ dtype }, shape, at) => decodeJsonTensor(asList(feature), { dtype, path: at, ...(shape && { shape }) }),
  ]);
}

/** Reads the examples of a classify or regress request. @throws SlipwayError INVALID_REQUEST */
export function decodeExamples({ examples, context }: JsonObject): Example[] {
  const shared = context === undefined ? [] : featuresOf(context, 'context');
  if (!Array.isArray(examples)) throw invalidRequest('examples', examples === undefined ? 'is missing' : 'must be an array of objects');
  return examples.map((example, index) => new Map([...shared, ...featuresOf(example, `examples[${index}]`)]));
}
