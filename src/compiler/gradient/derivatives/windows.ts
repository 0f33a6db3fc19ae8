import { type DerivativeCall, intsOf } from '../derivative.ts';
import type { Dimension, Shape } from '../../graph/dimension.ts';
import type { Value } from '../../graph/graph.ts';

/** The windows of a convolution or pooling along each axis of space. */
export interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** How far a window reaches along an axis. */
function extentOf({ kernel, dilations }: Windows, axis: number): number {
  return (kernel[axis]! - 1) * dilations[axis]! + 1;
}

/** @param input what the windows move over. */
export function windowsOf(call: DerivativeCall, kernel: Shape, input: Value): Windows {
  const rank = kernel.length;
  if (!kernel.every((size) => typeof size === 'number')) return call.fail('needs a kernel of known size');
  const ones = kernel.map(() => 1);
  const plain: Windows = {
    kernel,
    strides: intsOf(call, 'strides') ?? ones,
    dilations: intsOf(call, 'dilations') ?? ones,
    before: intsOf(call, 'pads')?.slice(0, rank) ?? kernel.map(() => 0),
    after: intsOf(call, 'pads')?.slice(rank) ?? kernel.map(() => 0),
  };
  const mode = call.attributes['auto_pad'];
  if (mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER') return plain;
  const totals = plain.strides.map((stride, axis) => {
    const size: Dimension = input.shape[axis + 2]!;
    if (stride === 1) return extentOf(plain, axis) - 1;
    if (typeof size === 'string') return call.fail(`needs the sizes of its input to be known, not ${size}`);
    return Math.max((Math.ceil(size / stride) - 1) * stride + extentOf(plain, axis) - size, 0);
  });
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total, axis) => total - smaller[axis]!);
  return mode === 'SAME_UPPER' ? { ...plain, before: smaller, after: larger } : { ...plain, before: larger, after: smaller };
}

export function padsOf({ before, after }: Windows): readonly number[] {
  return [...before, ...after];
}

/** The elements behind the last window, along each axis, that no window reaches. */
export function unreached(call: DerivativeCall, windows: Windows, input: Value, output: Value): number[] {
  return windows.kernel.map((_size, axis) => {
    const [size, count, stride] = [input.shape[axis + 2]!, output.shape[axis + 2]!, windows.strides[axis]!];
    if (typeof size === 'number' && typeof count === 'number')
      return size + windows.before[axis]! + windows.after[axis]! - ((count - 1) * stride + extentOf(windows, axis));
    return stride === 1 ? 0 : call.fail(`needs the sizes of its input to be known, not ${size}`);
  });
}
