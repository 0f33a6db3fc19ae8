import { describe, expect, it } from 'vitest';
import { describeCause, describeEnd } from '../../../../src/runners/host/describe-end.ts';

describe('the end of a runner in words', () => {
  it.each([
    [7, null, 'ended by itself with exit code 7'],
    [null, 'SIGSEGV' as const, 'was ended by SIGSEGV'],
    [null, 'SIGKILL' as const, 'was killed by SIGKILL, most likely because the system ran out of memory'],
  ])('code %s, signal %s', (exitCode, signal, words) => {
    expect(describeEnd(exitCode, signal)).toBe(words);
  });

  it('has the reported defect before anything printed', () => {
    expect(describeCause('x is not a function', ['Error: x is not a function'])).toBe(' (x is not a function)');
  });

  it('has the last lines, and the one that names the cause above a long backtrace', () => {
    const backtrace = Array.from({ length: 12 }, (_, index) => `${index}: 0xdeadbeef`);
    const cause = describeCause(undefined, ['FATAL ERROR: JavaScript heap out of memory', ...backtrace]);
    expect(cause).toContain('JavaScript heap out of memory');
    expect(cause).toContain('11: 0xdeadbeef');
    expect(cause).not.toContain(' 3: 0xdeadbeef');
  });

  it('is empty when nothing is known', () => {
    expect(describeCause(undefined, [])).toBe('');
  });
});
