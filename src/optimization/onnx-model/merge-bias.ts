import { constantOf } from './constants.ts';
import { indexGraph } from './graph-index.ts';
import type { OnnxGraph, OnnxNode } from './model.ts';
import { dtypeOf } from './tensor-content.ts';

/** A product with a constant matrix, and the sum with a constant vector that alone takes it. */
interface BiasedProduct {
  readonly product: OnnxNode;
  readonly sum: OnnxNode;
  readonly bias: string;
}

/** Products with matrices that are followed by a sum with one number for each column. */
export function biasedProducts(graph: OnnxGraph): BiasedProduct[] {
  const index = indexGraph(graph);
  return graph.nodes.flatMap((product) => {
    const [output] = product.outputs;
    const weight = constantOf(graph, product.inputs[1]);
    if (product.op !== 'MatMul' || product.domain !== '' || weight?.shape.length !== 2 || dtypeOf(weight.dataType) !== 'FP32') return [];
    const sum = index.onlyTaker(output!);
    if (sum?.op !== 'Add' || sum.domain !== '') return [];
    const bias = sum.inputs[0] === output ? sum.inputs[1]! : sum.inputs[0]!;
    const shape = constantOf(graph, bias)?.shape;
    return shape?.length === 1 && shape[0] === weight.shape[1] ? [{ product, sum, bias }] : [];
  });
}

/** Makes one Gemm of each product and its sum. Its input must have two axes. */
export function mergeBias(graph: OnnxGraph, products: readonly BiasedProduct[]): void {
  for (const { product, sum, bias } of products) {
    product.op = 'Gemm';
    product.inputs = [...product.inputs, bias];
    product.outputs = [...sum.outputs];
  }
  const merged = new Set(products.map(({ sum }) => sum));
  graph.nodes = graph.nodes.filter((node) => !merged.has(node));
}
