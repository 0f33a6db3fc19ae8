import type { Tensor } from '../../tensor/tensor.ts';
import { foldIntoConvolutions } from '../onnx-model/fold-into-conv.ts';
import { indexGraph, removeUnused } from '../onnx-model/graph-index.ts';
import { biasedProducts, mergeBias } from '../onnx-model/merge-bias.ts';
import type { OnnxGraph, OnnxNode } from '../onnx-model/model.ts';
import { intAttribute, makeNode } from '../onnx-model/node.ts';
import { tensorOf } from '../onnx-model/tensor-content.ts';
import { type CalibrationOptions, measureRanks, measureValues, type ValueStatistics } from './calibrate.ts';
import type { CalibrationMethod } from './histogram.ts';
import { type Int8Plan, planInt8, WEIGHTED_OPERATORS, type WeightedNode, type WeightedOperator } from './int8-plan.ts';
import { type Affine, int32Bias, int8Weights, leastScalesFor, type Range, signalToNoise, toUint8, uint8Affine } from './scales.ts';
import { storeRemaining } from './stored-weights.ts';
import { createTensorWriter, openForRewrite, type TensorWriter } from './rewrite.ts';
import { type CalibratedInput, inapplicable, type TechniqueReport } from './technique.ts';

export interface Int8Options {
  /** How ranges of values are chosen. Default `percentile`. */
  readonly calibration?: CalibrationMethod;
  /** Percent of the values that `percentile` keeps. Default 99.99. */
  readonly percentile?: number;
  /** A scale for each channel of the weights, or one for each tensor. Default true. */
  readonly perChannel?: boolean;
  /**
   * 7 bits for weights: processors without VNNI add two products in 16 bits and cut off what does not fit. Default false.
   */
  readonly reduceRange?: boolean;
  /**
   * Operators with weights that compute with integers. Default all: Conv, Gemm and MatMul. Convolutions of few channels are
   * faster as floats.
   */
  readonly operators?: readonly WeightedOperator[];
  /**
   * A node computes with floats where 8 bits would leave the variance of its input or output so few decibels above the
   * rounding. Default 25; 0 makes integers of everything.
   */
  readonly leastSignalToNoise?: number;
}

/** The first operator set whose QuantizeLinear knows axes. */
const LEAST_OPSET = 13;
const MOST = { full: 127, reduced: 63 } as const;

interface Step {
  readonly scale: string;
  readonly zeroPoint: string;
  readonly affine: Affine;
}

/** The weights and the bias of a node as integers, with the nodes that make them floats. */
function quantizeWeights(
  graph: OnnxGraph,
  writer: TensorWriter,
  { node, weight, bias, axis }: WeightedNode,
  inputScale: number,
  { perChannel = true, reduceRange = false }: Int8Options,
): OnnxNode[] {
  const tensor = tensorOf(graph.initializers.get(weight)!);
  const biasValues = bias === undefined ? undefined : (tensorOf(graph.initializers.get(bias)!).data as Float32Array);
  const own = perChannel ? axis : undefined;
  let leastScales = biasValues && leastScalesFor(biasValues, inputScale);
  if (leastScales !== undefined && own === undefined)
    leastScales = Float64Array.of(leastScales.reduce((most, each) => Math.max(most, each), 0));
  const { data, scales } = int8Weights(tensor, {
    axis: own,
    most: reduceRange ? MOST.reduced : MOST.full,
    ...(leastScales !== undefined && { leastScales }),
  });
  const scaleShape = own === undefined ? [] : [scales.length];
  const attributes = own === undefined ? {} : { axis: intAttribute(own) };
  const names = [
    writer.add(`${weight}:int8`, { dtype: 'INT8', shape: tensor.shape, data }),
    writer.add(`${weight}:scale`, { dtype: 'FP32', shape: scaleShape, data: scales }),
    writer.zero(own === undefined ? undefined : scales.length),
  ];
  const nodes = [makeNode('DequantizeLinear', names, [writer.fresh(`${weight}:float`)], attributes)];
  node.inputs[1] = nodes[0]!.outputs[0]!;
  if (biasValues === undefined) return nodes;
  const quantized = int32Bias(biasValues, inputScale, scales);
  const count = biasValues.length;
  const biasNames = [
    writer.add(`${bias}:int32`, { dtype: 'INT32', shape: [count], data: quantized.data }),
    writer.add(`${bias}:scale`, { dtype: 'FP32', shape: [count], data: quantized.scales }),
  ];
  nodes.push(makeNode('DequantizeLinear', biasNames, [writer.fresh(`${bias}:float`)], { axis: intAttribute(0) }));
  node.inputs[2] = nodes[1]!.outputs[0]!;
  return nodes;
}

/** A constant that is added to or multiplied with a value, as uint8. */
function quantizeConstant(graph: OnnxGraph, writer: TensorWriter, name: string): OnnxNode {
  const { shape, data } = tensorOf(graph.initializers.get(name)!) as Tensor & { readonly data: Float32Array };
  let [min, max] = [0, 0];
  for (const value of data) [min, max] = [Math.min(min, value), Math.max(max, value)];
  const affine = uint8Affine({ min, max });
  const names = [
    writer.add(`${name}:uint8`, { dtype: 'UINT8', shape, data: toUint8(data, affine) }),
    writer.add(`${name}:scale`, { dtype: 'FP32', shape: [], data: Float32Array.of(affine.scale) }),
    writer.add(`${name}:zero`, { dtype: 'UINT8', shape: [], data: Uint8Array.of(affine.zeroPoint) }),
  ];
  return makeNode('DequantizeLinear', names, [writer.fresh(`${name}:float`)]);
}

function rewrite(graph: OnnxGraph, plan: Int8Plan, rangeOf: (name: string) => Range, options: Int8Options): void {
  const index = indexGraph(graph);
  const writer = createTensorWriter(graph);
  const steps = new Map<string, Step>();
  for (const owner of new Set(plan.values.values())) {
    const affine = uint8Affine(rangeOf(owner));
    steps.set(owner, {
      affine,
      scale: writer.add(`${owner}:scale`, { dtype: 'FP32', shape: [], data: Float32Array.of(affine.scale) }),
      zeroPoint: writer.add(`${owner}:zero`, { dtype: 'UINT8', shape: [], data: Uint8Array.of(affine.zeroPoint) }),
    });
  }
  const stepOf = (name: string): Step => steps.get(plan.values.get(name)!)!;

  const nodes: OnnxNode[] = [];
  /** What nodes of integers take in place of a value whose maker computes with floats. */
  const replaced = new Map<string, string>();
  const quantize = (from: string, to: string, name: string): void => {
    const { scale, zeroPoint } = stepOf(name);
    const integers = writer.fresh(`${name}:uint8`);
    nodes.push(makeNode('QuantizeLinear', [from, scale, zeroPoint], [integers]));
    nodes.push(makeNode('DequantizeLinear', [integers, scale, zeroPoint], [to]));
  };
  const quantizeBeside = (name: string): void => {
    const float = writer.fresh(`${name}:float`);
    quantize(name, float, name);
    replaced.set(name, float);
  };
  for (const name of plan.constants) {
    const node = quantizeConstant(graph, writer, name);
    nodes.push(node);
    replaced.set(name, node.outputs[0]!);
  }
  for (const name of plan.values.keys()) if (index.makerOf(name) === undefined) quantizeBeside(name);

  const weighted = new Map(plan.weighted.map((each) => [each.node, each]));
  const lastOf = new Map([...plan.absorbed].map(([cut, node]) => [node, cut]));
  for (const node of graph.nodes) {
    if (plan.absorbed.has(node)) continue;
    const isInteger = plan.nodes.has(node);
    const each = weighted.get(node);
    if (each !== undefined) nodes.push(...quantizeWeights(graph, writer, each, stepOf(node.inputs[0]!).affine.scale, options));
    if (isInteger) node.inputs = node.inputs.map((name) => replaced.get(name) ?? name);
    const outputs = lastOf.get(node)?.outputs ?? node.outputs;
    nodes.push(node);
    for (const [at, name] of outputs.entries()) {
      if (!plan.values.has(name)) continue;
      if (isInteger) {
        // The name stays with the value that others take, which is now the one from integers.
        node.outputs[at] = writer.fresh(`${name}:raw`);
        quantize(node.outputs[at], name, name);
      } else quantizeBeside(name);
    }
  }
  graph.nodes = nodes;
  removeUnused(graph);
}

/**
 * Weights of convolutions and products of matrices as int8, values between operators as uint8, as QuantizeLinear and
 * DequantizeLinear around the operators; ONNX Runtime computes them with integers (QLinearConv, QLinearMatMul, QGemm, …).
 * Batch normalizations are taken into convolutions before. Weights of nodes that compute with floats are stored as int8.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE when nothing in the model can be quantized, or there is no calibration data;
 *   INPUT_MISMATCH when that does not fit the model; INVALID_MODEL.
 */
export async function int8(input: CalibratedInput, options: Int8Options = {}): Promise<TechniqueReport> {
  const { model, write } = await openForRewrite(input, LEAST_OPSET);
  const { graph } = model;
  foldIntoConvolutions(graph);
  // ONNX Runtime makes a Gemm of these too, and would then lack its bias as integers.
  const products = biasedProducts(graph);
  if (products.length > 0) {
    const ranks = await measureRanks(model, [...new Set(products.map(({ product }) => product.inputs[0]!))], input);
    mergeBias(
      graph,
      products.filter(({ product }) => ranks.get(product.inputs[0]!) === 2),
    );
  }
  const operators = options.operators ?? WEIGHTED_OPERATORS;
  const first = planInt8(graph, operators);
  if (first.weighted.length === 0) {
    throw inapplicable(
      `The model has no convolution and no product with constant FP32 weights to quantize${first.unchanged.map((text) => `; ${text}`).join('')}.`,
    );
  }
  const calibration: CalibrationOptions = { method: options.calibration ?? 'percentile', percentile: options.percentile ?? 99.99 };
  const statistics = await measureValues(model, [...new Set(first.values.values())], input, calibration);
  /** What has another owner now had the scale of the first one, which fits it as well. */
  const statisticsOf = (name: string): ValueStatistics => statistics.get(name) ?? statistics.get(first.values.get(name)!)!;
  const least = options.leastSignalToNoise ?? 25;
  const excluded = new Map<OnnxNode, string>();
  for (const { node, output } of first.weighted) {
    const worst = Math.min(...[node.inputs[0]!, output ?? node.inputs[0]!].map((name) => signalToNoise(statisticsOf(name))));
    if (least > 0 && worst < least) excluded.set(node, 'rounding to 8 bits would hide its values');
  }
  const plan = excluded.size === 0 ? first : planInt8(graph, operators, excluded);
  rewrite(graph, plan, statisticsOf, options);
  storeRemaining(graph);
  return write(plan.nodes, plan.unchanged);
}
