import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DType } from '../../tensor/dtype.ts';
import { arithmeticOf } from '../graph/arithmetic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type Node, usedBy, type Value } from '../graph/graph.ts';
import type { OperatorName } from '../graph/operators/operators.ts';
import { type DerivativeCall, isTransposedProduct } from './derivative.ts';
import { DERIVATIVES, WITHOUT_GRADIENT } from './derivatives/derivatives.ts';
import { sumTo } from './shapes.ts';

const FLOATING: ReadonlySet<DType> = new Set<DType>(['FP16', 'FP32', 'FP64']);

/** The values that depend on some of these, with these. No gradient goes through whole numbers, such as sizes. */
function dependentOn(sources: Iterable<Value>, nodes: readonly Node[]): ReadonlySet<Value> {
  const dependent = new Set<Value>(sources);
  for (const node of nodes) {
    if (!usedBy(node).some((value) => dependent.has(value))) continue;
    for (const output of node.outputs) if (output !== undefined && FLOATING.has(output.dtype)) dependent.add(output);
  }
  return dependent;
}

function failAt({ layer, op }: Node, message: string): never {
  const where = layer === '' ? 'The' : `The layer "${layer}": the`;
  throw new SlipwayError('COMPILE_FAILED', `${where} gradient of the operator ${op} ${message}.`);
}

/**
 * Adds the nodes that compute gradients by reverse-mode differentiation (A. Griewank, A. Walther, Evaluating Derivatives,
 * 2008, chapter 3): Σ seed · ∂value/∂source over all values that have a seed.
 * @param seeds the gradients where the way back begins, e.g. of the loss by the model's outputs; each in its value's shape.
 * @param sources the values whose gradients are wanted.
 * @param nodes those to go back through. Default: all of the graph.
 * @returns the gradients in the order of the sources, each in its source's shape; undefined where nothing depends on one.
 * @throws SlipwayError COMPILE_FAILED for an operator that has no derivative here, naming the layer.
 */
export function addGradients(
  graph: GraphBuilder,
  seeds: ReadonlyMap<Value, Value>,
  sources: readonly Value[],
  nodes: readonly Node[] = [...graph.nodes],
): readonly (Value | undefined)[] {
  const dependent = dependentOn(sources, nodes);
  const parts = new Map<Value, Value[]>();
  for (const [value, seed] of seeds) parts.set(value, [seed]);

  /**
   * The gradient of a matrix that many products have in common, as that of a recurrent layer: Σ Aᵢᵀ · Gᵢ is the one product
   * of all Aᵢ and all Gᵢ, one below the other. undefined when the parts are no such products.
   */
  function oneProduct(found: readonly Value[]): Value | undefined {
    const products = found.map((part) => graph.producerOf(part));
    if (!products.every((node) => isTransposedProduct(node))) return undefined;
    const stacked = (index: 0 | 1): Value =>
      graph.add(
        'Concat',
        products.map((node) => node.inputs[index]),
        { axis: 0 },
      );
    return graph.add('Gemm', [stacked(0), stacked(1)], { transA: 1 });
  }

  function gradientOf(value: Value | undefined): Value | undefined {
    const found = value && parts.get(value);
    if (found === undefined) return undefined;
    // In the order of the nodes, not of the way back: stacked inputs of the same order are the same for ONNX Runtime.
    const total = found.length === 1 ? found[0]! : (oneProduct(found.toReversed()) ?? graph.add('Sum', found));
    parts.set(value!, [total]);
    return total;
  }

  function goBack(node: Node): void {
    const gradients = node.outputs.map((output) => (output !== undefined && dependent.has(output) ? gradientOf(output) : undefined));
    const first = gradients.find((gradient) => gradient !== undefined);
    if (first === undefined || WITHOUT_GRADIENT.has(node.op as OperatorName)) return;
    const derivative = DERIVATIVES[node.op as OperatorName];
    const fail = (message: string): never => failAt(node, message);
    if (derivative === undefined) return fail('is not known, so the layer cannot be trained in one graph; the engine tfjs trains it');
    const wants = (index: number): boolean => node.inputs[index] !== undefined && dependent.has(node.inputs[index]);
    const give = (value: Value, gradient: Value): void => {
      const part = sumTo(graph, gradient, value);
      const before = parts.get(value);
      if (before === undefined) parts.set(value, [part]);
      else before.push(part);
    };
    const call: DerivativeCall = {
      graph,
      math: arithmeticOf(graph, first.dtype),
      attributes: node.attributes,
      inputs: node.inputs,
      input: (index) => node.inputs[index] ?? fail(`needs an input at position ${index}`),
      output: (index) => node.outputs[index] ?? fail(`needs the output ${index}`),
      get gradient() {
        return gradients[0] ?? fail('is known for its first output only');
      },
      gradientOf: (index) => gradients[index],
      wants,
      wantsOf: (value) => dependent.has(value),
      give,
      gradientsIn: (others, from, to) => addGradients(graph, from, to, others),
      fail,
    };
    for (const [index, gradient] of derivative(call).entries()) {
      const input = node.inputs[index];
      if (gradient !== undefined && input !== undefined && wants(index)) give(input, gradient);
    }
  }

  for (const node of nodes.toReversed()) graph.inLayer(node.layer === '' ? 'gradient' : `gradient/${node.layer}`, () => goBack(node));
  return sources.map((source) => gradientOf(source));
}
