import { describe, expect, it } from 'vitest';
import { createLateness } from '../../../src/inference/lateness.ts';

function lateness() {
  let time = 1_000;
  let handle: (() => void) | undefined;
  let sent = 0;
  let idle = 0;
  const made = createLateness({
    now: () => time,
    idleMs: () => idle,
    sendEvent(onHandled) {
      sent += 1;
      handle = onHandled;
    },
  });
  return {
    made,
    sent: () => sent,
    /** Time goes by, and the event of the round is handled then. */
    endAfter(ms: number) {
      time += ms;
      handle!();
    },
    pass(ms: number) {
      time += ms;
    },
    /** The event loop waits for something to do. */
    rest(ms: number) {
      time += ms;
      idle += ms;
    },
  };
}

describe('createLateness', () => {
  it('tells how long an event of its own has waited, and how long the last one did', () => {
    const { made, endAfter, pass } = lateness();
    expect(made.elapsedMs()).toBe(0);
    pass(3);
    expect(made.elapsedMs()).toBe(3);
    pass(4);
    expect(made.elapsedMs()).toBe(7);
    expect(made.previousMs).toBe(0);
    endAfter(2);
    expect(made.previousMs).toBe(9);
    expect(made.round).toBe(1);
    expect(made.elapsedMs()).toBe(0);
    expect(made.round).toBe(2);
  });

  it('sends one event at a time, and few while they are handled at once', () => {
    const { made, sent, endAfter, pass } = lateness();
    for (let request = 0; request < 10; request += 1) made.elapsedMs();
    endAfter(0);
    for (let request = 0; request < 10; request += 1) made.elapsedMs();
    expect(sent()).toBe(1);
    pass(5);
    for (let request = 0; request < 10; request += 1) made.elapsedMs();
    expect(sent()).toBe(2);
  });

  it('forgets a round that is long past', () => {
    const { made, endAfter, pass } = lateness();
    made.elapsedMs();
    endAfter(50);
    pass(1_000);
    made.elapsedMs();
    expect(made.previousMs).toBe(0);
  });

  it('takes nothing for late after the event loop had nothing to do, and leaves out a number there', () => {
    const { made, endAfter, pass, rest } = lateness();
    made.elapsedMs();
    endAfter(80);
    pass(1);
    made.elapsedMs();
    expect(made).toMatchObject({ previousMs: 80, round: 2 });
    endAfter(60);
    rest(2);
    made.elapsedMs();
    expect(made).toMatchObject({ previousMs: 0, round: 4 });
  });

  it('measures the event loop itself', async () => {
    const made = createLateness();
    made.elapsedMs();
    // Both come before the event, which waits for the event loop.
    await Promise.resolve();
    expect(made.previousMs).toBe(0);
    while (made.previousMs === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(made.previousMs).toBeGreaterThan(0);
    const { round } = made;
    await new Promise((resolve) => setTimeout(resolve, 20));
    made.elapsedMs();
    expect(made.previousMs).toBe(0);
    expect(made.round).toBe(round + 2);
  });
});
