import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { createQuotas, type Quotas } from '../../../src/inference/quotas.ts';

function refusal(quotas: Quotas, client: string): SlipwayError {
  try {
    quotas.begin(client);
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
  throw new Error(`${client} was not refused`);
}

describe('createQuotas', () => {
  it('allows a burst, then the rate, and says when the next request is allowed', () => {
    let time = 5_000;
    const quotas = createQuotas({ requestsPerSecond: 10, burst: 3, maxClients: 10, now: () => time });
    for (let request = 0; request < 3; request += 1) quotas.begin('a');
    expect(refusal(quotas, 'a')).toMatchObject({ code: 'QUOTA_EXCEEDED', retryAfterMs: 100 });
    time += 60;
    expect(refusal(quotas, 'a').retryAfterMs).toBeCloseTo(40);
    quotas.begin('b');
    time += 40;
    quotas.begin('a');
    expect(refusal(quotas, 'a').retryAfterMs).toBeCloseTo(100);
  });

  it('lets through what the rate allows and no more, however the requests come', () => {
    let time = 0;
    const quotas = createQuotas({ requestsPerSecond: 50, burst: 5, maxClients: 10, now: () => time });
    let allowed = 0;
    for (; time < 10_000; time += 3) {
      try {
        quotas.begin('a');
        allowed += 1;
      } catch {
        // Counted by what is allowed.
      }
    }
    expect(allowed).toBeGreaterThanOrEqual(500);
    expect(allowed).toBeLessThanOrEqual(505);
  });

  it('bounds what is under way at once, by client', () => {
    const quotas = createQuotas({ maxConcurrent: 2, maxClients: 10 });
    const [end] = [quotas.begin('a'), quotas.begin('a')];
    expect(refusal(quotas, 'a')).toMatchObject({ code: 'QUOTA_EXCEEDED', retryAfterMs: 1_000 });
    quotas.begin('b');
    end!();
    quotas.begin('a');
    expect(refusal(quotas, 'a').code).toBe('QUOTA_EXCEEDED');
  });

  it('says how often one of the requests of a client ends that has too many', () => {
    let time = 0;
    const quotas = createQuotas({ maxConcurrent: 2, maxClients: 10, now: () => time });
    const end = quotas.begin('a');
    time = 300;
    end!();
    quotas.begin('a');
    quotas.begin('a');
    // Each takes 300 ms, two at a time.
    expect(refusal(quotas, 'a').retryAfterMs).toBe(150);
  });

  it('forgets the idlest client beyond its bound, and none with work under way', () => {
    const quotas = createQuotas({ requestsPerSecond: 1, maxClients: 2, now: () => 0 });
    quotas.begin('busy');
    quotas.begin('idle')!();
    refusal(quotas, 'idle');
    quotas.begin('third')!();
    refusal(quotas, 'busy');
    quotas.begin('idle');
  });

  it('bounds nothing without a quota', () => {
    const quotas = createQuotas({ maxClients: 1 });
    for (let request = 0; request < 1_000; request += 1) quotas.begin('a');
  });
});
