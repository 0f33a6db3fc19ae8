import { describe, expect, it } from 'vitest';
import { spreadOver } from '../../../src/registry/placement.ts';

describe('the spread of a model over cores', () => {
  it.each([
    [
      { instances: 1, threads: 8, cores: 2 },
      { instances: 1, threads: 8 },
    ],
    [
      { instances: 4, threads: 1, cores: 2 },
      { instances: 4, threads: 1 },
    ],
    [
      { instances: 4, threads: 4, cores: 8 },
      { instances: 4, threads: 2 },
    ],
    [
      { instances: 3, threads: 4, cores: 2 },
      { instances: 3, threads: 1 },
    ],
    [
      { instances: 'auto', threads: 1, cores: 1 },
      { instances: 1, threads: 1 },
    ],
    [
      { instances: 'auto', threads: 1, cores: 2 },
      { instances: 1, threads: 1 },
    ],
    [
      { instances: 'auto', threads: 1, cores: 8 },
      { instances: 7, threads: 1 },
    ],
    [
      { instances: 'auto', threads: 2, cores: 16 },
      { instances: 7, threads: 2 },
    ],
  ] as const)('of %j is %j', (asked, spread) => {
    expect(spreadOver(asked)).toEqual(spread);
  });
});
