import { describe, expect, it } from 'vitest';
import { createIntake, type Intake } from '../../../src/inference/intake.ts';
import { createQuotas } from '../../../src/inference/quotas.ts';

/** A round of the event loop as a test says it. */
function intakeAt(round: { elapsed: number; previous: number; number: number }, busyShare = 0.1): { intake: Intake; refused: string[] } {
  const refused: string[] = [];
  const intake = createIntake({
    lateness: {
      elapsedMs: () => round.elapsed,
      get previousMs() {
        return round.previous;
      },
      get round() {
        return round.number;
      },
    },
    quotas: createQuotas({ maxConcurrent: 1, maxClients: 10 }),
    busyShare,
    requestTimeoutMs: 30_000,
    onRefused: ({ code }) => refused.push(code),
  });
  return { intake, refused };
}

describe('createIntake', () => {
  it('refuses what comes late in a long round behind a long one, with the time until both are worked off', () => {
    const { intake, refused } = intakeAt({ elapsed: 31, previous: 30, number: 2 });
    expect(intake.busy(200)).toMatchObject({ code: 'SERVER_BUSY', kind: 'overloaded', retryAfterMs: 61 });
    expect(refused).toEqual(['SERVER_BUSY']);
    // With more time it can be answered.
    expect(intake.busy(10_000)).toBeUndefined();
    expect(intake.busy(undefined)).toBeUndefined();
  });

  it('counts nothing for a request that cannot be refused so, and is not busy for that', () => {
    const round = { elapsed: 31, previous: 30, number: 2 };
    const { intake, refused } = intakeAt(round);
    expect(intake.busy(200, () => false)).toBeUndefined();
    expect(refused).toEqual([]);
    Object.assign(round, { elapsed: 3, number: 3 });
    expect(intake.busy(200)).toBeUndefined();
  });

  it('takes a single long round for no overload', () => {
    expect(intakeAt({ elapsed: 500, previous: 1, number: 2 }).intake.busy(200)).toBeUndefined();
    expect(intakeAt({ elapsed: 1, previous: 500, number: 2 }).intake.busy(200)).toBeUndefined();
  });

  it('takes no overload out of what a pause has left behind, which is worked off in rounds that become shorter', () => {
    const round = { elapsed: 0, previous: 120, number: 2 };
    const { intake, refused } = intakeAt(round);
    for (const length of [84, 59, 41, 29, 20]) {
      round.elapsed = length;
      expect(intake.busy(200)).toBeUndefined();
      round.previous = length;
      round.number += 1;
    }
    expect(refused).toEqual([]);
  });

  it('is not busy any more once the event loop has had nothing to do', () => {
    const round = { elapsed: 31, previous: 30, number: 2 };
    const { intake } = intakeAt(round);
    expect(intake.busy(200)).toBeDefined();
    Object.assign(round, { elapsed: 15, previous: 0, number: 4 });
    expect(intake.busy(200)).toBeUndefined();
  });

  it('keeps rounds short once it is busy, until one needs no refusal', () => {
    const round = { elapsed: 31, previous: 30, number: 2 };
    const { intake } = intakeAt(round);
    expect(intake.busy(200)).toBeDefined();
    Object.assign(round, { elapsed: 1, previous: 10, number: 3 });
    expect(intake.busy(200)).toBeUndefined();
    round.elapsed = 3;
    expect(intake.busy(200)).toBeDefined();
    Object.assign(round, { elapsed: 1, number: 4 });
    expect(intake.busy(200)).toBeUndefined();
    Object.assign(round, { elapsed: 3, number: 5 });
    expect(intake.busy(200)).toBeUndefined();
  });

  it('refuses nothing so when it is turned off', () => {
    expect(intakeAt({ elapsed: 10_000, previous: 10_000, number: 2 }, 0).intake.busy(1)).toBeUndefined();
  });

  it('refuses what has expired, and what is over its quota', () => {
    const { intake, refused } = intakeAt({ elapsed: 0, previous: 0, number: 1 });
    expect(() => intake.begin({ client: 'a', deadline: performance.now() - 1 })).toThrow('not answered within its time');
    const ended = intake.begin({ client: 'a', deadline: undefined })!;
    expect(() => intake.begin({ client: 'a', deadline: undefined })).toThrow('under way');
    ended();
    intake.begin({ client: 'a', deadline: undefined });
    expect(refused).toEqual(['DEADLINE_EXCEEDED', 'QUOTA_EXCEEDED']);
  });

  it('takes a request to have come a round ago', () => {
    const { intake } = intakeAt({ elapsed: 2, previous: 40, number: 2 });
    const before = performance.now();
    expect(intake.arrivedAt()).toBeGreaterThanOrEqual(before - 40);
    expect(intake.arrivedAt()).toBeLessThanOrEqual(performance.now() - 40);
  });
});
