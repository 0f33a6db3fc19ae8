import { describe, expect, it } from 'vitest';
import type { Execution } from '../../../../src/engines/tfjs/execution.ts';
import { disagreement, type Expected } from '../../../../src/engines/tfjs/gpu-check.ts';
import { fp32 } from '../../../helpers/tensors.ts';

const EXPECTED: readonly Expected[] = [{ inputs: new Map(), outputs: new Map([['y', fp32([0.5, 200])]]) }];

/** A stand-in for a GPU: what a driver gets wrong is not for a test to choose. */
function giving(...values: number[]): Execution {
  return () => Promise.resolve(new Map([['y', fp32(values)]]));
}

describe('a GPU', () => {
  it('agrees where it rounds in another way, large numbers by their ratio', async () => {
    expect(await disagreement(giving(0.5009, 200.1), EXPECTED)).toBeUndefined();
  });

  it('is found out where its answers are others, or none', async () => {
    expect(await disagreement(giving(0.53, 200), EXPECTED)).toBe('on test inputs its answers differ from those of the CPU by 0.030');
    expect(await disagreement(giving(0.5, Number.NaN), EXPECTED)).toMatch(/by Infinity$/);
  });
});
