import { DATA_TYPE } from '../../compiler/onnx/fields.ts';
import type { FixedDType } from '../../tensor/dtype.ts';
import { encodeFp16, MOST_FP16 } from '../../tensor/float16.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { constantOf } from '../onnx-model/constants.ts';
import { type GraphIndex, indexGraph } from '../onnx-model/graph-index.ts';
import type { OnnxGraph, OnnxNode } from '../onnx-model/model.ts';
import { intAttribute, intOf, makeNode } from '../onnx-model/node.ts';
import { dtypeOf, tensorOf } from '../onnx-model/tensor-content.ts';
import { clusterValues } from './cluster.ts';
import { countProblems, createTensorWriter, openForRewrite, type TensorWriter } from './rewrite.ts';
import { int8Weights } from './scales.ts';
import { inapplicable, type TechniqueInput, type TechniqueReport } from './technique.ts';

/*
 * Techniques that hold weights in fewer bits and compute with FP32 as before. The nodes that make FP32 of what is stored
 * have constants only, so ONNX Runtime computes them once, when it loads the model: the file is smaller, a run takes as long
 * as before. (With DequantizeLinear it would not: that stays in the graph, to be joined with its neighbours.)
 */

/** The operator set in which all these nodes are as they are written here. */
const LEAST_OPSET = 9;
/** Tensors of fewer elements gain less than the nodes cost. */
const LEAST_ELEMENTS = 256;

type FloatTensor = Tensor & { readonly data: Float32Array };

/** How a tensor is stored: the nodes of which the last one gives it back; or why it is left as it is. */
type Store = (writer: TensorWriter, name: string, tensor: FloatTensor, axis: number | undefined) => OnnxNode[] | string;

/** The axis of weights whose elements have a scale each: channels of the output, or rows of a table. */
function channelAxis(node: OnnxNode, place: number, rank: number): number | undefined {
  if (node.domain !== '') return undefined;
  if (node.op === 'Gather') return place === 0 ? intOf(node, 'axis', 0) : undefined;
  if (node.op === 'LSTM' || node.op === 'GRU' || node.op === 'RNN') return place === 1 || place === 2 ? 1 : undefined;
  if (place !== 1) return undefined;
  if (node.op === 'Conv') return 0;
  if (node.op === 'ConvTranspose') return 1;
  if (node.op === 'Gemm') return intOf(node, 'transB', 0) === 0 ? 1 : 0;
  return node.op === 'MatMul' && rank > 1 ? rank - 1 : undefined;
}

function axisOf(index: GraphIndex, name: string, rank: number): number | undefined {
  const axes = new Set(index.takersOf(name).map((node) => channelAxis(node, node.inputs.indexOf(name), rank)));
  const [axis] = axes;
  return axes.size === 1 ? axis : undefined;
}

function toFloat(from: string, to: string): OnnxNode {
  return makeNode('Cast', [from], [to], { to: intAttribute(DATA_TYPE.FP32) });
}

const storeInt8: Store = (writer, name, tensor, axis) => {
  const { shape, data: values } = tensor;
  if (!values.every(Number.isFinite)) return 'a number is infinite or none';
  const { data, scales } = int8Weights(tensor, { axis, most: 127 });
  const stored = writer.add(`${name}:int8`, { dtype: 'INT8', shape, data });
  const scaleShape = axis === undefined ? [] : shape.map((size, at) => (at === axis ? size : 1));
  const scale = writer.add(`${name}:scale`, { dtype: 'FP32', shape: scaleShape, data: scales });
  const floats = writer.fresh(`${name}:floats`);
  return [toFloat(stored, floats), makeNode('Mul', [floats, scale], [name])];
};

/** Stores the weights of a graph in another way, and tells which nodes take them and which weights stay. */
function storeIn(graph: OnnxGraph, store: Store): { readonly takers: ReadonlySet<OnnxNode>; readonly problems: readonly string[] } {
  const index = indexGraph(graph);
  const writer = createTensorWriter(graph);
  const nodes: OnnxNode[] = [];
  const takers = new Set<OnnxNode>();
  const problems: string[] = [];
  // Others are added on the way.
  const names = [...graph.initializers.keys()];
  for (const name of names) {
    const constant = constantOf(graph, name);
    if (constant === undefined || dtypeOf(constant.dataType) !== 'FP32' || index.isOutput(name)) continue;
    if (constant.shape.reduce((product, size) => product * size, 1) < LEAST_ELEMENTS) continue;
    const tensor = tensorOf(constant) as FloatTensor;
    const made = store(writer, name, tensor, axisOf(index, name, tensor.shape.length));
    if (typeof made === 'string') {
      problems.push(`weights of the shape ${formatShape(tensor.shape)}: ${made}`);
      continue;
    }
    graph.initializers.delete(name);
    nodes.push(...made);
    for (const taker of index.takersOf(name)) takers.add(taker);
  }
  graph.nodes = [...nodes, ...graph.nodes];
  return { takers, problems };
}

async function storeWeights(input: TechniqueInput, store: Store): Promise<TechniqueReport> {
  const { model, write } = await openForRewrite(input, LEAST_OPSET);
  const { takers, problems } = storeIn(model.graph, store);
  if (takers.size === 0) throw inapplicable(['The model has no FP32 weights to store in another way', ...problems].join('; '));
  return write(takers, countProblems(problems));
}

/**
 * Weights stored as FP16. ONNX Runtime's CPU provider has FP16 kernels for few operators and would put conversions around all
 * others at each run, so it computes with FP32 here: half the file, the same time, weights rounded to 11 bits.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE for a model without FP32 weights; INVALID_MODEL
 */
export function float16(input: TechniqueInput): Promise<TechniqueReport> {
  return storeWeights(input, (writer, name, { shape, data }) => {
    if (data.some((value) => Math.abs(value) > MOST_FP16)) return `a number is beyond ${MOST_FP16}, where FP16 ends`;
    const stored = writer.add(`${name}:fp16`, { dtype: 'FP16', shape, data: encodeFp16(data) });
    return [toFloat(stored, name)];
  });
}

export interface WeightsInt8Options {
  /** A scale for each channel, or one for each tensor. Default true. */
  readonly perChannel?: boolean;
}

/**
 * Weights stored as int8 and computed with as FP32: a quarter of the file, the same time.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE for a model without FP32 weights; INVALID_MODEL
 */
export function weightsInt8(input: TechniqueInput, { perChannel = true }: WeightsInt8Options = {}): Promise<TechniqueReport> {
  return storeWeights(input, (writer, name, tensor, axis) => storeInt8(writer, name, tensor, perChannel ? axis : undefined));
}

/** Stores the weights that are FP32 still in a graph as int8. */
export function storeRemaining(graph: OnnxGraph): void {
  storeIn(graph, (writer, name, tensor, axis) => (axis === undefined ? 'its use is not known' : storeInt8(writer, name, tensor, axis)));
}

export interface ClusterOptions {
  /** Different numbers that each tensor of weights is left with, 2 to 65,536. Default 256. */
  readonly clusters?: number;
}

const BYTE_VALUES = 256;

/**
 * Each tensor of weights left with a few different numbers (S. Han et al., Deep Compression, 2016), and stored as their places
 * in a list of these: a quarter of the file with 256 or less, and far less once it is compressed. Computed with as FP32.
 * Zeros, of pruning, stay zeros.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE for a model without FP32 weights; INVALID_MODEL
 */
export function cluster(input: TechniqueInput, { clusters = 256 }: ClusterOptions = {}): Promise<TechniqueReport> {
  return storeWeights(input, (writer, name, { shape, data }) => {
    if (!data.every(Number.isFinite)) return 'a number is infinite or none';
    const { centroids, places } = clusterValues(data, clusters);
    if (data.length <= centroids.length) return 'there are fewer numbers than clusters';
    const dtype: FixedDType = centroids.length <= BYTE_VALUES ? 'UINT8' : 'UINT16';
    const stored = writer.add(`${name}:places`, { dtype, shape, data: dtype === 'UINT8' ? Uint8Array.from(places) : places });
    const list = writer.add(`${name}:clusters`, { dtype: 'FP32', shape: [centroids.length], data: centroids });
    const indices = writer.fresh(`${name}:indices`);
    return [makeNode('Cast', [stored], [indices], { to: intAttribute(DATA_TYPE.INT32) }), makeNode('Gather', [list, indices], [name])];
  });
}
