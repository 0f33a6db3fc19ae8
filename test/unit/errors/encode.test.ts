import { describe, expect, it } from 'vitest';
import { CATALOGUE, type ErrorCode } from '../../../src/errors/catalogue.ts';
import { decodeError, encodeError } from '../../../src/errors/encode.ts';
import { messageOf, SlipwayError } from '../../../src/errors/slipway-error.ts';

const CODES = Object.keys(CATALOGUE) as ErrorCode[];

describe('encodeError', () => {
  it.each(CODES)('keeps code, kind, message and details of %s over a JSON border', (code) => {
    const error = new SlipwayError(code, 'what is wrong', { details: [{ path: 'inputs.x[3]', message: 'not a number' }] });
    const decoded = decodeError(JSON.parse(JSON.stringify(encodeError(error))) as ReturnType<typeof encodeError>);
    expect(decoded).toBeInstanceOf(SlipwayError);
    expect(decoded).toMatchObject({ code, kind: CATALOGUE[code].kind, message: 'what is wrong', details: error.details });
  });

  it('survives structured clone, which a coded error itself does not', () => {
    const error = new SlipwayError('QUEUE_FULL', 'the queue is full');
    expect(structuredClone(error)).not.toHaveProperty('code', 'QUEUE_FULL');
    expect(decodeError(structuredClone(encodeError(error))).code).toBe('QUEUE_FULL');
  });

  it('writes no empty details', () => {
    expect(encodeError(new SlipwayError('INTERNAL', 'x'))).toEqual({ code: 'INTERNAL', message: 'x' });
  });

  it.each([
    [new TypeError('x is not a function'), 'x is not a function'],
    ['text', 'text'],
    [undefined, 'undefined'],
  ])('gives the fallback code to %j', (thrown, message) => {
    expect(encodeError(thrown, 'INFERENCE_FAILED')).toEqual({ code: 'INFERENCE_FAILED', message });
    expect(encodeError(thrown).code).toBe('INTERNAL');
    expect(messageOf(thrown)).toBe(message);
  });
});

describe('SlipwayError', () => {
  it('keeps its cause and the time to retry, and is an Error', () => {
    const cause = new Error('ENOSPC');
    const error = new SlipwayError('STORAGE_FULL', 'the disk is full', { cause, retryAfterMs: 500 });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'SlipwayError', cause, retryAfterMs: 500, details: [] });
    expect(new SlipwayError('INTERNAL', 'x')).not.toHaveProperty('cause');
  });
});

describe('the catalogue', () => {
  it.each(CODES)('%s is upper snake case and has a sentence', (code) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(CATALOGUE[code].meaning).toMatch(/^[A-Z].*\.$/);
    // It becomes a cell of a table in the reference page.
    expect(CATALOGUE[code].meaning).not.toMatch(/[|\n]/);
  });
});
