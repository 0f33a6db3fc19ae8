import { describe, expect, it } from 'vitest';
import { createThrashWatch } from '../../../src/registry/memory/thrash.ts';

describe('the watch for thrash', () => {
  it('sees models that come back right after they left, and lets them stay for longer then', () => {
    let now = 0;
    const watch = createThrashWatch(() => now);
    for (let round = 0; round < 4; round += 1) {
      for (const key of ['a', 'b']) {
        watch.loading(key);
        now += 100;
        watch.evicted(key);
      }
    }
    expect(watch.thrashing).toBe(true);
    expect(watch.residenceMs(200)).toBe(600);
    expect(watch.residenceMs(60_000)).toBe(5_000);
    now += 10_001;
    expect(watch.thrashing).toBe(false);
    expect(watch.residenceMs(200)).toBe(0);
  });

  it('takes many first loads for none, and neither what comes back after long', () => {
    let now = 0;
    const watch = createThrashWatch(() => now);
    for (let index = 0; index < 20; index += 1) {
      watch.loading(`model ${index}`);
      watch.evicted(`model ${index}`);
    }
    expect(watch.thrashing).toBe(false);
    now += 30_001;
    for (let index = 0; index < 20; index += 1) watch.loading(`model ${index}`);
    expect(watch.thrashing).toBe(false);
  });
});
