import { SlipwayError } from '../../errors/slipway-error.ts';
import type { ModelReference } from '../../registry/types.ts';

const VERSION = /^[1-9][0-9]{0,14}$/;

/**
 * The reference of a V2 request, in which versions are text and an empty one is the version that answers by default.
 * @throws SlipwayError INVALID_REQUEST
 */
export function modelReference(model: string, version: string | undefined): ModelReference {
  if (model === '')
    throw new SlipwayError('INVALID_REQUEST', 'The request does not name its model.', {
      details: [{ path: 'name', message: 'is missing' }],
    });
  if (version === undefined || version === '') return { model };
  if (VERSION.test(version)) return { model, version: Number(version) };
  throw new SlipwayError('INVALID_REQUEST', `"${version}" is not a version; versions are positive whole numbers.`, {
    details: [{ path: 'version', message: 'must be a positive whole number' }],
  });
}
