import { SlipwayError } from '../../../errors/slipway-error.ts';
import { parseJson } from '../../../tensor/json-scanner.ts';
import { NumericArray } from '../../../tensor/numeric-array.ts';
import { toPlain } from '../../../tensor/plain-json.ts';
import type { ScannedJson } from '../../../tensor/scanned-json.ts';
import { checkInput } from '../../http/check-input.ts';
import { requestEnvelope } from './schemas.ts';

export type JsonObject = { readonly [key: string]: ScannedJson };

export function isObject(value: ScannedJson | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumericArray);
}

export function invalid(path: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `${path}: ${problem}.`, { details: [{ path, message: problem }] });
}

/**
 * Reads a body, in which NaN and ±Infinity may stand bare as TensorFlow Serving writes them.
 * @throws SlipwayError INVALID_JSON, INVALID_REQUEST
 */
export function readBody(body: Buffer, maxDepth: number): { readonly signatureName: string; readonly fields: JsonObject } {
  const fields = parseJson(body, { maxDepth, nonFinite: true });
  if (!isObject(fields)) throw new SlipwayError('INVALID_REQUEST', 'The body must be a JSON object.');
  const { signature_name } = fields;
  const envelope = checkInput(requestEnvelope, signature_name === undefined ? {} : { signature_name: toPlain(signature_name) }, '');
  return { signatureName: envelope.signature_name, fields };
}
