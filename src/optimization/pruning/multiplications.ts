import type { Dimension, Shape } from '../../compiler/graph/dimension.ts';
import type { Graph, Node, Value } from '../../compiler/graph/graph.ts';

/** An open axis counts as one: the batch, and the steps of a sequence of any length. */
function sizeOf(dimension: Dimension): number {
  return typeof dimension === 'number' ? dimension : 1;
}

function product(shape: Shape): number {
  return shape.reduce<number>((all, size) => all * sizeOf(size), 1);
}

/** Rows × inner × columns of a product of matrices: what comes out, times the axis that goes. */
function ofMatrices([left]: readonly (Value | undefined)[], [result]: readonly (Value | undefined)[]): number {
  return product(result!.shape) * sizeOf(left!.shape.at(-1)!);
}

function ofNode({ op, inputs, outputs }: Node): number {
  switch (op) {
    case 'Conv':
      // Each element that comes out is a sum over the channels of its group and the window.
      return product(outputs[0]!.shape) * product(inputs[1]!.shape.slice(1));
    case 'ConvTranspose':
      return product(inputs[0]!.shape) * product(inputs[1]!.shape.slice(1));
    case 'MatMul':
    case 'Gemm':
      return ofMatrices(inputs, outputs);
    case 'RNN':
    case 'GRU':
    case 'LSTM':
      // W and R once for each step; the first axis of the input is the steps.
      return sizeOf(inputs[0]!.shape[0]!) * (product(inputs[1]!.shape) + product(inputs[2]!.shape));
    default:
      return 0;
  }
}

/** Multiplications of convolutions, products of matrices and recurrent layers for one example; the rest is little beside them. Loops are not looked into. */
export function multiplications({ nodes }: Graph): number {
  return nodes.reduce((sum, node) => sum + ofNode(node), 0);
}
