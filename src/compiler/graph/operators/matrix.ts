import { broadcast, type Dimension, formatDimensions, mayEqual, moreKnown, type Shape } from '../dimension.ts';
import type { ValueType } from '../graph.ts';
import { alikeInputs, checkRank, defineOperator } from '../operator.ts';

export const MATRIX = {
  /** numpy.matmul: the last two axes are multiplied, those before are broadcast. */
  MatMul: defineOperator({
    arity: [2, 2],
    attributes: {},
    infer(call) {
      const [left, right] = alikeInputs(call) as [ReturnType<typeof call.input>, ReturnType<typeof call.input>];
      if (left.shape.length === 0 || right.shape.length === 0) call.fail('cannot multiply a scalar');
      // A vector counts as a matrix of one row on the left and of one column on the right.
      const rows: Shape = left.shape.length === 1 ? [1, left.shape[0]!] : left.shape;
      const columns: Shape = right.shape.length === 1 ? [right.shape[0]!, 1] : right.shape;
      const outer = broadcast([rows.slice(0, -2), columns.slice(0, -2)]);
      if (outer === undefined || !mayEqual(rows.at(-1)!, columns.at(-2)!)) {
        return call.fail(`cannot multiply ${formatDimensions(left.shape)} by ${formatDimensions(right.shape)}`);
      }
      const shape: Dimension[] = [...outer];
      if (left.shape.length > 1) shape.push(rows.at(-2)!);
      if (right.shape.length > 1) shape.push(columns.at(-1)!);
      return [{ dtype: left.dtype, shape }];
    },
  }),

  /** alpha · A · B + beta · C for matrices, A and B transposed if asked. */
  Gemm: defineOperator({
    arity: [2, 3],
    attributes: { alpha: 'float', beta: 'float', transA: 'int', transB: 'int' },
    infer(call): ValueType[] {
      const [left, right, bias] = [...alikeInputs(call), undefined];
      checkRank(call, left!, 2);
      checkRank(call, right!, 2);
      const [rows, inner] = call.attributes.transA === 1 ? left!.shape.toReversed() : left!.shape;
      const [innerRight, columns] = call.attributes.transB === 1 ? right!.shape.toReversed() : right!.shape;
      if (!mayEqual(inner!, innerRight!))
        call.fail(`cannot multiply ${formatDimensions([rows!, inner!])} by ${formatDimensions([innerRight!, columns!])}`);
      const shape = [rows!, columns!];
      if (bias !== undefined) {
        const sum = broadcast([shape, bias.shape]);
        if (sum === undefined || sum.length !== 2 || sum.some((dimension, axis) => !mayEqual(dimension, shape[axis]!)))
          call.fail(`cannot add ${formatDimensions(bias.shape)} to ${formatDimensions(shape)}`);
      }
      return [{ dtype: left!.dtype, shape }];
    },
  }),

  /** The sum of products that an equation such as `bij,bjk->bik` asks for. */
  Einsum: defineOperator({
    arity: [1, 2],
    attributes: { equation: 'string' },
    infer(call) {
      const inputs = alikeInputs(call);
      const [terms, result] = (call.attributes.equation ?? '').replaceAll(' ', '').split('->');
      if (terms === undefined || result === undefined) return call.fail('needs an equation with "->"');
      const sizes = new Map<string, Dimension>();
      for (const [index, term] of terms.split(',').entries()) {
        const shape = inputs[index]?.shape ?? [];
        if (shape.length !== term.length) call.fail(`cannot read ${formatDimensions(shape)} as "${term}"`);
        for (const [axis, letter] of term.split('').entries()) {
          const before = sizes.get(letter);
          const size = shape[axis]!;
          if (before !== undefined && !mayEqual(before, size)) call.fail(`has two sizes for "${letter}": ${before} and ${size}`);
          sizes.set(letter, before === undefined ? size : moreKnown(before, size));
        }
      }
      const shape = result.split('').map((letter) => sizes.get(letter) ?? call.fail(`does not know the size of "${letter}"`));
      return [{ dtype: inputs[0]!.dtype, shape }];
    },
  }),
} as const;
