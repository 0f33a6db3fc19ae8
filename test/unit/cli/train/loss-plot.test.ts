import { describe, expect, it } from 'vitest';
import { plotOf } from '../../../../src/cli/train/loss-plot.ts';

describe('plot of the loss', () => {
  it('has the first epoch on the left, high values above, and the largest and smallest as labels', () => {
    expect(plotOf([{ name: 'loss', mark: '*', values: [4, 2, 1] }], { width: 12, height: 4 })).toEqual([
      '4.00 │*',
      '     │',
      '     │  *',
      '1.00 │    *',
      '     └─────',
      '      * loss, epochs 1 to 3',
    ]);
  });

  it('shows two series by their marks, the first one on top', () => {
    const lines = plotOf(
      [
        { name: 'loss', mark: '*', values: [3, 1] },
        { name: 'validation-loss', mark: 'o', values: [3, 2] },
      ],
      { width: 9, height: 3 },
    );
    expect(lines.slice(0, 3)).toEqual(['3.00 │*', '     │  o', '1.00 │  *']);
    expect(lines.at(-1)).toContain('* loss   o validation-loss');
  });

  it('shows means where there are more epochs than columns', () => {
    const lines = plotOf([{ name: 'loss', mark: '*', values: [10, 8, 6, 4, 2, 0, 0, 0] }], { width: 10, height: 5 });
    // Columns of two epochs: 9, 5, 1, 0.
    expect(lines.slice(0, 5)).toEqual(['10.0 │*', '     │', '     │ *', '     │', '0.00 │  **']);
    expect(Math.max(...lines.slice(0, 6).map((line) => line.length))).toBeLessThanOrEqual(10);
  });

  it.each([[[]], [[1]], [[1, NaN]]])('is empty when there is nothing to see: %j', (values) => {
    expect(plotOf([{ name: 'loss', mark: '*', values }], { width: 40, height: 5 })).toEqual([]);
  });

  it('shows a loss that stays the same', () => {
    expect(plotOf([{ name: 'loss', mark: '*', values: [1, 1] }], { width: 9, height: 3 })[2]).toBe('1.00 │* *');
  });
});
