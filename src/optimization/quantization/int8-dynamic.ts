import { DATA_TYPE } from '../../compiler/onnx/fields.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { constantOf, transposed } from '../onnx-model/constants.ts';
import type { OnnxGraph, OnnxNode } from '../onnx-model/model.ts';
import { floatOf, intAttribute, intOf, makeNode } from '../onnx-model/node.ts';
import { dtypeOf, tensorOf } from '../onnx-model/tensor-content.ts';
import { countProblems, createTensorWriter, openForRewrite, type TensorWriter } from './rewrite.ts';
import { int8Weights } from './scales.ts';
import { inapplicable, type TechniqueInput, type TechniqueReport } from './technique.ts';

export interface Int8DynamicOptions {
  /** A scale for each column of the weights, or one for each matrix. Default true. */
  readonly perChannel?: boolean;
  /** 7 bits for weights, as in `int8`. Default false. */
  readonly reduceRange?: boolean;
}

/** The operator set of DynamicQuantizeLinear. */
const LEAST_OPSET = 11;
/** Tables of fewer elements gain less than the nodes cost. */
const LEAST_TABLE = 4096;

type FloatTensor = Tensor & { readonly data: Float32Array };

/** Why a node with weights keeps computing with floats; undefined for nodes without weights, and for those that need not. */
function problemOf({ op }: OnnxNode): string | undefined {
  switch (op) {
    case 'Conv':
    case 'ConvTranspose':
      return 'its values would be measured at each run, which takes longer than integers save; int8 measures them once';
    case 'LSTM':
    case 'GRU':
    case 'RNN':
      return 'recurrent layers compute with floats';
    default:
      return undefined;
  }
}

function floatConstant(graph: OnnxGraph, name: string | undefined): FloatTensor | undefined {
  const constant = constantOf(graph, name);
  return constant !== undefined && dtypeOf(constant.dataType) === 'FP32' ? (tensorOf(constant) as FloatTensor) : undefined;
}

/** A matrix [rows, columns] that a node multiplies its first input by; undefined when it is none. */
function matrixOf(graph: OnnxGraph, node: OnnxNode): FloatTensor | undefined {
  const weights = floatConstant(graph, node.inputs[1]);
  if (weights?.shape.length !== 2) return undefined;
  if (node.op === 'MatMul') return weights;
  if (intOf(node, 'transA', 0) !== 0) return undefined;
  const upright = intOf(node, 'transB', 0) === 0 ? weights : (transposed(weights, [1, 0]) as FloatTensor);
  const alpha = floatOf(node, 'alpha', 1);
  return alpha === 1 ? upright : { ...upright, data: upright.data.map((value) => value * alpha) };
}

/**
 * x · W as ((x as uint8) · (W as int8)) × scales, the scale of x from its own lowest and highest value. ONNX Runtime takes
 * these nodes for one DynamicQuantizeMatMul.
 */
function multiply(
  writer: TensorWriter,
  [input, output]: readonly [string, string],
  [weight, matrix]: readonly [string, FloatTensor],
  { perChannel = true, reduceRange = false }: Int8DynamicOptions,
): OnnxNode[] {
  const { data, scales } = int8Weights(matrix, { axis: perChannel ? 1 : undefined, most: reduceRange ? 63 : 127 });
  const integers = writer.add(`${weight}:int8`, { dtype: 'INT8', shape: matrix.shape, data });
  const scale = writer.add(`${weight}:scale`, { dtype: 'FP32', shape: perChannel ? [scales.length] : [], data: scales });
  const name = (what: string): string => writer.fresh(`${output}:${what}`);
  const [bytes, step, zero] = [name('uint8'), name('step'), name('zero')];
  const [product, floats, both] = [name('product'), name('floats'), name('scale')];
  return [
    makeNode('DynamicQuantizeLinear', [input], [bytes, step, zero]),
    makeNode('MatMulInteger', [bytes, integers, zero, writer.zero(perChannel ? scales.length : undefined)], [product]),
    makeNode('Cast', [product], [floats], { to: intAttribute(DATA_TYPE.FP32) }),
    makeNode('Mul', [step, scale], [both]),
    makeNode('Mul', [floats, both], [output]),
  ];
}

/** Rows of a table that is held as int8, each with its own scale. */
function lookUp(writer: TensorWriter, node: OnnxNode, table: FloatTensor): OnnxNode[] {
  const [name, indices] = node.inputs as [string, string];
  const [output] = node.outputs as [string];
  const { data, scales } = int8Weights(table, { axis: 0, most: 127 });
  const integers = writer.add(`${name}:int8`, { dtype: 'INT8', shape: table.shape, data });
  const scaleShape = table.shape.map((size, axis) => (axis === 0 ? size : 1));
  const scale = writer.add(`${name}:scale`, { dtype: 'FP32', shape: scaleShape, data: scales });
  const [rows, floats, steps] = ['int8', 'floats', 'scale'].map((what) => writer.fresh(`${output}:${what}`)) as [string, string, string];
  return [
    makeNode('Gather', [integers, indices], [rows]),
    makeNode('Cast', [rows], [floats], { to: intAttribute(DATA_TYPE.FP32) }),
    makeNode('Gather', [scale, indices], [steps]),
    makeNode('Mul', [floats, steps], [output]),
  ];
}

/** Nodes that do a node's work with integers; undefined for a node that stays. */
function replacement(graph: OnnxGraph, writer: TensorWriter, node: OnnxNode, options: Int8DynamicOptions): OnnxNode[] | undefined {
  if (node.domain !== '') return undefined;
  const [output] = node.outputs as [string];
  if (node.op === 'Gather') {
    const table = floatConstant(graph, node.inputs[0]);
    if (table === undefined || table.data.length < LEAST_TABLE || table.shape.length !== 2 || intOf(node, 'axis', 0) !== 0)
      return undefined;
    return lookUp(writer, node, table);
  }
  if (node.op !== 'MatMul' && node.op !== 'Gemm') return undefined;
  const matrix = matrixOf(graph, node);
  if (matrix === undefined) return undefined;
  const [input, weight, bias] = node.inputs as [string, string, string | undefined];
  if (node.op === 'MatMul' || bias === undefined || bias === '') return multiply(writer, [input, output], [weight, matrix], options);
  const beta = floatOf(node, 'beta', 1);
  const product = writer.fresh(`${output}:unbiased`);
  const nodes = multiply(writer, [input, product], [weight, matrix], options);
  let addend = bias;
  if (beta !== 1) {
    addend = writer.fresh(`${bias}:scaled`);
    const factor = writer.add(`${bias}:beta`, { dtype: 'FP32', shape: [], data: Float32Array.of(beta) });
    nodes.push(makeNode('Mul', [bias, factor], [addend]));
  }
  return [...nodes, makeNode('Add', [product, addend], [output])];
}

/**
 * Products with constant matrices as int8, with the range of the other factor measured at each run, and tables of
 * embeddings held as int8. No calibration data is needed. For transformers and dense layers; convolutions stay.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE when there is nothing of the kind in the model; INVALID_MODEL
 */
export async function int8Dynamic(input: TechniqueInput, options: Int8DynamicOptions = {}): Promise<TechniqueReport> {
  const { model, write } = await openForRewrite(input, LEAST_OPSET);
  const { graph } = model;
  const writer = createTensorWriter(graph);
  const changed: OnnxNode[] = [];
  const problems: string[] = [];
  graph.nodes = graph.nodes.flatMap((node) => {
    const nodes = replacement(graph, writer, node, options);
    if (nodes !== undefined) changed.push(node);
    else if (problemOf(node) !== undefined) problems.push(`${node.op}: ${problemOf(node)}`);
    return nodes ?? [node];
  });
  const unchanged = countProblems(problems);
  if (changed.length === 0) throw inapplicable(['The model has no product with a constant matrix', ...unchanged].join('; '));
  return write(changed, unchanged);
}
