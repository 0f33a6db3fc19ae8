import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../fixtures/processes/lowest-priority.ts', import.meta.url));

describe('takeLowestPriority', () => {
  it.skipIf(process.platform !== 'linux')('holds for every thread of the process (/proc)', () => {
    const niceness = JSON.parse(execFileSync(process.execPath, [PROGRAM], { encoding: 'utf8' })) as number[];
    expect(niceness.length).toBeGreaterThan(4);
    expect(niceness.filter((nice) => nice !== 19)).toEqual([]);
  });
});
