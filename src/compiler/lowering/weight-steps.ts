import type { NumericData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** How the numbers of a weight are laid out anew. Each step can be undone. */
export type WeightStep =
  | { readonly reshape: readonly number[] }
  /** Axis `i` of the result is axis `transpose[i]` of the source. */
  | { readonly transpose: readonly number[] };

function transposed({ dtype, shape, data }: Tensor, permutation: readonly number[]): Tensor {
  const source = data as NumericData;
  const target = new (source.constructor as new (length: number) => NumericData)(source.length);
  const sizes = permutation.map((axis) => shape[axis]!);
  const strides = shape.map((_size, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const steps = permutation.map((axis) => strides[axis]!);
  const last = sizes.length - 1;
  const position = sizes.map(() => 0);
  const [rowLength, rowStep] = [sizes[last] ?? 1, steps[last] ?? 1];
  let from = 0;
  for (let to = 0; to < target.length; to += rowLength) {
    for (let index = 0; index < rowLength; index += 1) target[to + index] = source[from + index * rowStep]!;
    // The next row: the axes before the last count up like the digits of a number.
    for (let axis = last - 1; axis >= 0; axis -= 1) {
      position[axis]! += 1;
      from += steps[axis]!;
      if (position[axis]! < sizes[axis]!) break;
      from -= steps[axis]! * sizes[axis]!;
      position[axis] = 0;
    }
  }
  return { dtype, shape: sizes, data: target };
}

/** The shape after a step. */
function shapeAfter(shape: readonly number[], step: WeightStep): readonly number[] {
  return 'reshape' in step ? step.reshape : step.transpose.map((axis) => shape[axis]!);
}

/** A weight laid out anew. Its numbers are copied only when they move. */
export function applySteps(tensor: Tensor, steps: readonly WeightStep[]): Tensor {
  let result = tensor;
  for (const step of steps) {
    if ('reshape' in step) result = { ...result, shape: step.reshape };
    else result = transposed(result, step.transpose);
  }
  return result;
}

/** A weight as it was before `applySteps`. @param shape that it had then */
export function undoSteps(tensor: Tensor, steps: readonly WeightStep[], shape: readonly number[]): Tensor {
  const shapes = [shape];
  for (const step of steps) shapes.push(shapeAfter(shapes.at(-1)!, step));
  let result = tensor;
  for (const [index, step] of [...steps.entries()].toReversed()) {
    if ('reshape' in step) result = { ...result, shape: shapes[index]! };
    else
      result = transposed(
        result,
        step.transpose.map((_axis, at) => step.transpose.indexOf(at)),
      );
  }
  return result;
}
