import { SlipwayError } from '../../../errors/slipway-error.ts';
import { isJsonObject, type JsonObject } from '../../../tensor/json-object.ts';
import { parseJson } from '../../../tensor/json-scanner.ts';
import { toPlain } from '../../../tensor/plain-json.ts';
import { checkInput } from '../../http/check-input.ts';
import { requestEnvelope } from './schemas.ts';

/**
 * Reads a body, in which NaN and ±Infinity may stand bare as TensorFlow Serving writes them.
 * @throws SlipwayError INVALID_JSON, INVALID_REQUEST
 */
export function readBody(body: Buffer, maxDepth: number): { readonly signatureName: string; readonly fields: JsonObject } {
  const fields = parseJson(body, { maxDepth, nonFinite: true });
  if (!isJsonObject(fields)) throw new SlipwayError('INVALID_REQUEST', 'The body must be a JSON object.');
  const { signature_name } = fields;
  const envelope = checkInput(requestEnvelope, signature_name === undefined ? {} : { signature_name: toPlain(signature_name) }, '');
  return { signatureName: envelope.signature_name, fields };
}
