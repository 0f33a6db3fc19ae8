import { broadcast, type Dimension, elementsOf, formatDimensions, mayEqual, moreKnown, quotient, type Shape, sum } from '../dimension.ts';
import { alikeInputs, axisIn, checkRank, defineOperator, integersOf, sizesOf, UNBOUNDED } from '../operator.ts';

/** Operators that order elements anew and compute none. */
export const ARRANGEMENT = {
  /** To the sizes of the second input; 0 keeps the size at its place, one -1 takes what is left. */
  Reshape: defineOperator({
    arity: [2, 2],
    attributes: {},
    infer(call) {
      const { dtype, shape } = call.input(0);
      const wanted = sizesOf(call, 1);
      const sizes: Dimension[] = wanted.map((size, axis) =>
        size === 0 ? (shape[axis] ?? call.fail(`has no axis ${axis} to keep of ${formatDimensions(shape)}`)) : size,
      );
      const open = sizes.indexOf(-1);
      const misfit = (): never => call.fail(`cannot make ${formatDimensions(wanted)} of ${formatDimensions(shape)}`);
      if (open >= 0) sizes[open] = quotient(shape, sizes.toSpliced(open, 1)) ?? misfit();
      else if (!mayEqual(elementsOf(shape), elementsOf(sizes))) misfit();
      return [{ dtype, shape: sizes }];
    },
  }),

  Transpose: defineOperator({
    arity: [1, 1],
    attributes: { perm: 'ints' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      const permutation = call.attributes.perm ?? [...shape.keys()].toReversed();
      if (permutation.length !== shape.length || new Set(permutation).size !== shape.length)
        call.fail(`cannot order the axes of ${formatDimensions(shape)} by ${formatDimensions(permutation)}`);
      return [{ dtype, shape: permutation.map((axis) => shape[axisIn(call, axis, shape.length)]!) }];
    },
  }),

  Squeeze: defineOperator({
    arity: [1, 2],
    attributes: {},
    infer(call) {
      const { dtype, shape } = call.input(0);
      const axes = integersOf(call, 1, 'axes')?.map((axis) => axisIn(call, axis, shape.length));
      const dropped = axes ?? [...shape.keys()].filter((axis) => shape[axis] === 1);
      for (const axis of dropped) if (!mayEqual(shape[axis]!, 1)) call.fail(`cannot drop the axis ${axis} of ${formatDimensions(shape)}`);
      return [{ dtype, shape: shape.filter((_dimension, axis) => !dropped.includes(axis)) }];
    },
    sizes: (call) => call.sizesOf(0),
  }),

  Unsqueeze: defineOperator({
    arity: [2, 2],
    attributes: {},
    infer(call) {
      const { dtype, shape } = call.input(0);
      const axes = integersOf(call, 1, 'axes')!;
      const rank = shape.length + axes.length;
      const added = new Set(axes.map((axis) => axisIn(call, axis, rank)));
      const rest = [...shape];
      return [{ dtype, shape: Array.from({ length: rank }, (_dimension, axis) => (added.has(axis) ? 1 : rest.shift()!)) }];
    },
    sizes: (call) => call.sizesOf(0),
  }),

  Concat: defineOperator({
    arity: [1, UNBOUNDED],
    attributes: { axis: 'int' },
    infer(call) {
      const inputs = alikeInputs(call);
      const [first] = inputs;
      const axis = axisIn(call, call.attributes.axis ?? call.fail('needs an axis'), first!.shape.length);
      const shape = first!.shape.map((dimension, at) => {
        if (at === axis) return sum(inputs.map((value) => value.shape[axis] ?? 0));
        return inputs.reduce((known, value) => moreKnown(known, value.shape[at] ?? known), dimension);
      });
      for (const value of inputs) {
        if (value.shape.length !== shape.length || value.shape.some((size, at) => at !== axis && !mayEqual(size, shape[at]!)))
          call.fail(`cannot join ${inputs.map((each) => formatDimensions(each.shape)).join(' and ')} along the axis ${axis}`);
      }
      return [{ dtype: first!.dtype, shape }];
    },
    sizes(call) {
      const parts = call.inputs.map((_value, index) => call.sizesOf(index));
      return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    },
  }),

  /** Into parts of the sizes of the second input, or into `num_outputs` of one size. */
  Split: defineOperator({
    arity: [1, 2],
    attributes: { axis: 'int', num_outputs: 'int' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      const axis = axisIn(call, call.attributes.axis ?? 0, shape.length);
      const size = shape[axis]!;
      const count = call.attributes.num_outputs;
      const parts = integersOf(call, 1, 'sizes');
      if (parts === undefined) {
        if (count === undefined) return call.fail('needs the sizes of its parts, or their number');
        const part = quotient([size], [count]) ?? call.fail(`cannot cut an axis of ${size} into ${count} equal parts`);
        return Array.from({ length: count }, () => ({ dtype, shape: shape.with(axis, part) }));
      }
      if (!mayEqual(sum(parts), size)) call.fail(`cannot cut an axis of ${size} into parts of ${parts.join(', ')}`);
      return parts.map((part) => ({ dtype, shape: shape.with(axis, part) }));
    },
  }),

  /** Starts, ends, axes and steps are inputs; negative ones count from the end. */
  Slice: defineOperator({
    arity: [3, 5],
    attributes: {},
    infer(call) {
      const { dtype, shape } = call.input(0);
      const starts = integersOf(call, 1, 'starts')!;
      const ends = sizesOf(call, 2);
      const axes = integersOf(call, 3, 'axes') ?? [...starts.keys()];
      const steps = integersOf(call, 4, 'steps') ?? starts.map(() => 1);
      const sizes = [...shape];
      for (const [index, given] of axes.entries()) {
        const axis = axisIn(call, given, shape.length);
        sizes[axis] = sliceSize(shape[axis]!, starts[index]!, ends[index]!, steps[index]!);
      }
      return [{ dtype, shape: sizes }];
    },
    sizes(call) {
      const sizes = call.sizesOf(0);
      if (sizes === undefined || call.inputs.length > 4) return undefined;
      return sizes.slice(integersOf(call, 1, 'starts')![0], integersOf(call, 2, 'ends')![0]);
    },
  }),

  /** Input, pads before each axis and after each, the value to pad with, and the axes that the pads are of. */
  Pad: defineOperator({
    arity: [2, 4],
    attributes: { mode: 'string' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      const pads = integersOf(call, 1, 'pads')!;
      const axes = integersOf(call, 3, 'axes')?.map((axis) => axisIn(call, axis, shape.length)) ?? [...shape.keys()];
      if (pads.length !== 2 * axes.length) call.fail(`needs ${2 * axes.length} pads; it has ${pads.length}`);
      const sizes = [...shape];
      for (const [index, axis] of axes.entries()) sizes[axis] = sum([shape[axis]!, pads[index]!, pads[axes.length + index]!]);
      return [{ dtype, shape: sizes }];
    },
  }),

  Expand: defineOperator({
    arity: [2, 2],
    attributes: {},
    infer(call) {
      const { dtype, shape } = call.input(0);
      const wanted = sizesOf(call, 1);
      return [
        {
          dtype,
          shape: broadcast([shape, wanted]) ?? call.fail(`cannot broadcast ${formatDimensions(shape)} to ${formatDimensions(wanted)}`),
        },
      ];
    },
  }),

  /** Repeats along each axis. */
  Tile: defineOperator({
    arity: [2, 2],
    attributes: {},
    infer(call) {
      const { dtype, shape } = call.input(0);
      const repeats = sizesOf(call, 1);
      if (repeats.length !== shape.length) call.fail(`needs a number of repeats for each axis of ${formatDimensions(shape)}`);
      return [{ dtype, shape: shape.map((dimension, axis) => elementsOf([dimension, repeats[axis]!])) }];
    },
  }),

  /** Enlarges by nearest or linear interpolation: input, (nothing), scales, or sizes in the fourth place. */
  Resize: defineOperator({
    arity: [1, 4],
    attributes: {
      mode: 'string',
      coordinate_transformation_mode: 'string',
      nearest_mode: 'string',
    },
    infer(call) {
      const { dtype, shape } = call.input(0);
      if (call.inputs[3] !== undefined) {
        checkRank(call, call.inputs[3], 1);
        return [{ dtype, shape: sizesOf(call, 3) }];
      }
      const scales = [...((call.constantOf(2) ?? call.fail('needs its scales to be known')).data as Float32Array)];
      if (scales.length !== shape.length) call.fail(`needs a scale for each axis of ${formatDimensions(shape)}`);
      return [{ dtype, shape: shape.map((dimension, axis) => scaled(dimension, scales[axis]!)) }];
    },
  }),

  /** Reverses the first `lengths[i]` elements of each sequence. */
  ReverseSequence: defineOperator({
    arity: [2, 2],
    attributes: { batch_axis: 'int', time_axis: 'int' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      checkRank(call, call.input(1), 1);
      return [{ dtype, shape }];
    },
  }),

  /** Keeps the upper triangle of matrices, or the lower one. */
  Trilu: defineOperator({
    arity: [1, 2],
    attributes: { upper: 'int' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      if (shape.length < 2) call.fail(`needs matrices, not ${formatDimensions(shape)}`);
      return [{ dtype, shape }];
    },
  }),
} as const;

function scaled(dimension: Dimension, scale: number): Dimension {
  if (typeof dimension === 'number') return Math.floor(dimension * scale);
  if (Number.isInteger(scale)) return elementsOf([dimension, scale]);
  return `floor(${dimension}*${scale})`;
}

/** How many elements `[start:end:step]` takes of an axis (numpy's rules). */
function sliceSize(size: Dimension, start: number, end: Dimension, step: number): Dimension {
  if (typeof end === 'string') return step === 1 && start >= 0 ? sum([end, -start]) : `slice(${size},${start},${end},${step})`;
  if (typeof size === 'string') {
    const whole = end > Number.MAX_SAFE_INTEGER - 1 || end >= 2 ** 31 - 1;
    if (step === 1 && start >= 0 && whole) return sum([size, -start]);
    if (step === 1 && start >= 0 && end < 0) return sum([size, end - start]);
    if (step === 1 && start < 0 && whole) return -start;
    if (step === 1 && Math.sign(start || 1) === Math.sign(end || 1)) return Math.max(0, end - start);
    if (step === -1 && start === -1 && end < -(2 ** 31)) return size;
    return `slice(${size},${start},${end},${step})`;
  }
  const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + size : at, least), most);
  return Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step));
}

export const INDEXING = {
  Gather: defineOperator({
    arity: [2, 2],
    attributes: { axis: 'int' },
    infer(call) {
      const [{ dtype, shape }, indices] = [call.input(0), call.input(1)];
      const axis = axisIn(call, call.attributes.axis ?? 0, shape.length);
      return [{ dtype, shape: [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)] }];
    },
    sizes(call) {
      const sizes = call.sizesOf(0);
      return sizes && integersOf(call, 1, 'indices')?.map((index) => sizes.at(index)!);
    },
  }),

  /** For each index the element at it along the axis; of the shape of the indices. */
  GatherElements: defineOperator({
    arity: [2, 2],
    attributes: { axis: 'int' },
    infer(call) {
      checkRank(call, call.input(1), call.input(0).shape.length);
      return [{ dtype: call.input(0).dtype, shape: call.input(1).shape }];
    },
  }),

  /** What stands at the places that the last axis of the indices names, for each element of the first `batch_dims` axes. */
  GatherND: defineOperator({
    arity: [2, 2],
    attributes: { batch_dims: 'int' },
    infer(call) {
      const [{ dtype, shape }, indices] = [call.input(0), call.input(1)];
      const depth = indices.shape.at(-1);
      const after = typeof depth === 'number' ? (call.attributes.batch_dims ?? 0) + depth : Number.NaN;
      if (!(after <= shape.length)) return call.fail('needs indices whose last axis is a place in the input');
      return [{ dtype, shape: [...indices.shape.slice(0, -1), ...shape.slice(after)] }];
    },
  }),

  /** The first `k` elements along an axis in order, and where they stood. */
  TopK: defineOperator({
    arity: [2, 2],
    attributes: { axis: 'int', largest: 'int', sorted: 'int' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      const axis = axisIn(call, call.attributes.axis ?? -1, shape.length);
      const sizes = shape.with(axis, sizesOf(call, 1)[0]!);
      return [
        { dtype, shape: sizes },
        { dtype: 'INT64', shape: sizes },
      ];
    },
  }),

  /** The input with `updates` put, or added, at the places that `indices` names by their last axis. */
  ScatterND: defineOperator({
    arity: [3, 3],
    attributes: { reduction: 'string' },
    infer(call) {
      const [{ dtype, shape }, indices, updates] = [call.input(0), call.input(1), call.input(2)];
      const depth = indices.shape.at(-1);
      if (typeof depth !== 'number' || depth > shape.length) return call.fail('needs indices whose last axis is a place in the input');
      const expected: Shape = [...indices.shape.slice(0, -1), ...shape.slice(depth)];
      if (expected.length !== updates.shape.length || expected.some((size, axis) => !mayEqual(size, updates.shape[axis]!)))
        call.fail(`takes updates of the shape ${formatDimensions(expected)}, not ${formatDimensions(updates.shape)}`);
      return [{ dtype, shape }];
    },
  }),

  ScatterElements: defineOperator({
    arity: [3, 3],
    attributes: { axis: 'int', reduction: 'string' },
    infer(call) {
      const { dtype, shape } = call.input(0);
      return [{ dtype, shape }];
    },
  }),

  /** Indices, how many there are, and the values for "not this" and "this". */
  OneHot: defineOperator({
    arity: [3, 3],
    attributes: { axis: 'int' },
    infer(call) {
      const [indices, values] = [call.input(0), call.input(2)];
      const [depth] = sizesOf(call, 1);
      const axis = axisIn(call, call.attributes.axis ?? -1, indices.shape.length + 1);
      return [{ dtype: values.dtype, shape: indices.shape.toSpliced(axis, 0, depth!) }];
    },
  }),

  Shape: defineOperator({
    arity: [1, 1],
    attributes: {},
    infer: (call) => [{ dtype: 'INT64', shape: [call.input(0).shape.length] }],
    sizes: (call) => call.input(0).shape,
  }),

  /** A tensor of zeros of the sizes that the input holds. */
  ConstantOfShape: defineOperator({
    arity: [1, 1],
    attributes: {},
    infer: (call) => [{ dtype: 'FP32', shape: sizesOf(call, 0) }],
  }),

  /** From a start to before a limit in steps; scalars. */
  Range: defineOperator({
    arity: [3, 3],
    attributes: {},
    infer(call) {
      const { dtype } = call.input(0);
      const [[start], [limit], [step]] = [0, 1, 2].map((index) => sizesOf(call, index)) as [Shape, Shape, Shape];
      if (typeof start === 'number' && typeof limit === 'number' && typeof step === 'number')
        return [{ dtype, shape: [Math.max(0, Math.ceil((limit - start) / step))] }];
      return [{ dtype, shape: [start === 0 && step === 1 ? limit! : `range(${start},${limit},${step})`] }];
    },
  }),
} as const;
