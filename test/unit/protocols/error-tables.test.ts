import { describe, expect, it } from 'vitest';
import { CATALOGUE, ERROR_KINDS, type ErrorCode } from '../../../src/errors/catalogue.ts';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { GRPC_STATUS } from '../../../src/protocols/grpc-status.ts';
import { encodeErrorAnswer } from '../../../src/protocols/http/error-body.ts';
import { HTTP_STATUS } from '../../../src/protocols/http-status.ts';

const REQUEST = { requestId: 'id-1', method: 'POST', path: '/predict' };

describe('the edge tables', () => {
  it('map every kind of error, and no other, to a status of HTTP and of gRPC', () => {
    const kinds = ERROR_KINDS.toSorted();
    expect(Object.keys(HTTP_STATUS).toSorted()).toEqual(kinds);
    expect(Object.keys(GRPC_STATUS).toSorted()).toEqual(kinds);
    for (const kind of kinds) {
      expect(HTTP_STATUS[kind]).toBeGreaterThanOrEqual(400);
      expect(HTTP_STATUS[kind]).toBeLessThan(600);
      // 0 is OK and 2 UNKNOWN; neither says anything about an error.
      expect([1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]).toContain(GRPC_STATUS[kind]);
    }
  });

  it.each(Object.keys(CATALOGUE) as ErrorCode[])('%s has a kind of the vocabulary and an answer', (code) => {
    expect(ERROR_KINDS).toContain(CATALOGUE[code].kind);
    const answer = encodeErrorAnswer(new SlipwayError(code, 'what is wrong', { details: [{ path: 'a', message: 'b' }] }), REQUEST);
    expect(answer.status).toBe(HTTP_STATUS[CATALOGUE[code].kind]);
    expect(JSON.parse(answer.body)).toEqual({
      error: { code, message: 'what is wrong', details: [{ path: 'a', message: 'b' }], requestId: 'id-1' },
    });
  });

  it('rounds Retry-After up to whole seconds, and to one at least', () => {
    const retryAfter = (retryAfterMs: number): string | undefined =>
      encodeErrorAnswer(new SlipwayError('QUEUE_FULL', 'full', { retryAfterMs }), REQUEST).headers['retry-after'];
    expect([0, 1, 1_000, 1_001].map(retryAfter)).toEqual(['1', '1', '1', '2']);
    expect(encodeErrorAnswer(new SlipwayError('QUEUE_FULL', 'full'), REQUEST).headers).not.toHaveProperty('retry-after');
  });
});
