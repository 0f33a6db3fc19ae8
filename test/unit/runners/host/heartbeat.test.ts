import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createHeartbeat } from '../../../../src/runners/host/heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const state = { busy: false, pings: 0, silences: 0 };
  const heartbeat = createHeartbeat({
    heartbeatMs: 100,
    unresponsiveMs: 1_000,
    isBusy: () => state.busy,
    ping: () => void (state.pings += 1),
    onSilent: () => void (state.silences += 1),
  });
  return { state, heartbeat };
}

describe('heartbeat', () => {
  it('pings a runner that is idle, and again only once it has answered', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    vi.advanceTimersByTime(500);
    expect(state.pings).toBe(1);
    heartbeat.alive();
    vi.advanceTimersByTime(300);
    expect(state.pings).toBe(2);
    expect(state.silences).toBe(0);
  });

  it('pings one that stays idle ever more seldom, and one that has worked as before', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    const answerFor = (ms: number): void => {
      for (let passed = 0; passed < ms; passed += 50) {
        const { pings } = state;
        vi.advanceTimersByTime(50);
        if (state.pings > pings) heartbeat.alive();
      }
    };
    answerFor(10_000);
    expect(state.pings).toBeLessThan(16); // 100 + 200 + 400 + 800 ms, then one a second
    expect(state.pings).toBeGreaterThan(9);
    const { pings } = state;
    heartbeat.wake();
    heartbeat.alive();
    answerFor(500);
    expect(state.pings).toBeGreaterThanOrEqual(pings + 2);
    expect(state.silences).toBe(0);
  });

  it('notices work that hangs as soon after a long rest', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    for (let passed = 0; passed < 5_000; passed += 50) {
      vi.advanceTimersByTime(50);
      heartbeat.alive();
    }
    state.busy = true;
    heartbeat.wake();
    vi.advanceTimersByTime(1_000);
    expect(state.silences).toBe(0);
    vi.advanceTimersByTime(200);
    expect(state.silences).toBe(1);
  });

  it('does not ping a busy runner and ends one that runs too long, once', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    state.busy = true;
    vi.advanceTimersByTime(1_000);
    expect(state.silences).toBe(0);
    vi.advanceTimersByTime(5_000);
    expect(state).toMatchObject({ pings: 0, silences: 1 });
  });

  it('counts anew from each sign of life', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    state.busy = true;
    for (let answer = 0; answer < 10; answer += 1) {
      vi.advanceTimersByTime(900);
      heartbeat.alive();
    }
    expect(state.silences).toBe(0);
    vi.advanceTimersByTime(1_200);
    expect(state.silences).toBe(1);
  });

  it('ends an idle runner that leaves its ping unanswered', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    vi.advanceTimersByTime(1_300);
    expect(state.silences).toBe(1);
  });

  it('does not blame the runner for time in which this process stood still', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    state.busy = true;
    vi.setSystemTime(Date.now() + 60_000);
    const now = performance.now();
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => now + 60_000);
    vi.advanceTimersByTime(100);
    spy.mockRestore();
    expect(state.silences).toBe(0);
  });

  it('is quiet once stopped', () => {
    const { state, heartbeat } = setUp();
    heartbeat.start();
    heartbeat.stop();
    state.busy = true;
    vi.advanceTimersByTime(60_000);
    expect(state).toMatchObject({ pings: 0, silences: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });
});
