import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rolloutSchema } from '../../../src/packages/rollout.ts';
import { isForCandidate, placeOf } from '../../../src/rollouts/assignment.ts';

const terms = (more: object) => rolloutSchema.parse({ candidate: 2, baseline: 1, startedAt: '2026-11-24T12:00:00.000Z', ...more });
const of = (client: string, header?: string) => ({ client, head: { header: (name: string) => (name === 'x-user' ? header : undefined) } });
const never = (): number => {
  throw new Error('drawn');
};

describe('who gets the candidate', () => {
  it('is decided by the client, as documented', () => {
    const place = Number.parseInt(createHash('sha256').update('m/2/anna').digest('hex').slice(0, 8), 16) / 2 ** 32;
    expect(placeOf('m', 2, 'anna')).toBe(place);
    expect(isForCandidate('m', terms({ weight: place + 1e-9 }), of('anna'), never)).toBe(true);
    expect(isForCandidate('m', terms({ weight: place }), of('anna'), never)).toBe(false);
  });

  it('is the share of clients that was asked for, and more of the same when it grows', () => {
    const clients = Array.from({ length: 5_000 }, (_client, index) => `client ${index}`);
    const few = clients.filter((client) => isForCandidate('m', terms({ weight: 0.1 }), of(client), never));
    const more = clients.filter((client) => isForCandidate('m', terms({ weight: 0.3 }), of(client), never));
    expect(few.length / clients.length).toBeCloseTo(0.1, 1);
    expect(more.length / clients.length).toBeCloseTo(0.3, 1);
    expect(few.every((client) => more.includes(client))).toBe(true);
  });

  it('is decided by a header where that is asked for, and drawn without it', () => {
    const byHeader = terms({ sticky: { header: 'X-User' }, weight: 0.5 });
    expect(isForCandidate('m', byHeader, of('whoever', 'anna'), never)).toBe(placeOf('m', 2, 'anna') < 0.5);
    for (const nobody of [of('whoever'), of('whoever', ''), { client: 'whoever' }]) {
      expect([0.4, 0.6].map((drawn) => isForCandidate('m', byHeader, nobody, () => drawn))).toEqual([true, false]);
    }
  });

  it('is drawn where nobody is known, or it is not to be sticky', () => {
    for (const [client, sticky] of [
      ['', true],
      ['anna', false],
    ] as const) {
      expect(isForCandidate('m', terms({ sticky }), of(client), () => 0.09)).toBe(true);
      expect(isForCandidate('m', terms({ sticky }), of(client), () => 0.1)).toBe(false);
    }
  });
});
