import { SlipwayError } from '../../errors/slipway-error.ts';
import { freshNames } from './graph-index.ts';
import { graphsOf, type OnnxAttribute, type OnnxGraph, type OnnxModel, type OnnxNode } from './model.ts';
import { floatOf, intAttribute, intOf, intsOf, makeNode } from './node.ts';
import { makeTensor } from './tensor-content.ts';

/*
 * What changed in operators of ONNX between the operator sets 7 and 13 (https://onnx.ai/onnx/operators): attributes that
 * became inputs, and new names. All others compute what they did; many take more types.
 */

const FIRST = 7;
const LAST = 13;

/** Makes names and constants of the graph that a node is in. */
interface Scope {
  readonly opset: number;
  readonly fresh: (wanted: string) => string;
  ints(values: readonly number[]): string;
  float(value: number): string;
}

/** The nodes that do in the operator set 13 what a node did in an earlier one; undefined when it may stay. */
type Raise = (node: OnnxNode, scope: Scope) => OnnxNode[] | undefined;

function impossible(problem: string): SlipwayError {
  return new SlipwayError('TECHNIQUE_INAPPLICABLE', `The model ${problem}, which the operator set ${LAST} cannot. Export it anew.`);
}

function textAttribute(value: string): OnnxAttribute {
  return { kind: 'string', value: Buffer.from(value), rest: [] };
}

/** Moves a list of integers from an attribute to the input at `place`. */
function listToInput(attribute: string, place: number, since: number): Raise {
  return (node, { opset, ints }) => {
    const values = intsOf(node, attribute);
    if (opset >= since || values === undefined) return undefined;
    node.attributes.delete(attribute);
    while (node.inputs.length < place) node.inputs.push('');
    node.inputs[place] = ints(values);
    return [node];
  };
}

const raiseClip: Raise = (node, { opset, float }) => {
  if (opset >= 11) return undefined;
  const [min, max] = ['min', 'max'].map((name) => (node.attributes.has(name) ? float(floatOf(node, name, 0)) : ''));
  node.attributes.clear();
  node.inputs = [node.inputs[0]!, min!, max!];
  return [node];
};

const raisePad: Raise = (node, { opset, ints, float }) => {
  const pads = intsOf(node, 'pads');
  if (opset >= 11 || pads === undefined) return undefined;
  node.inputs = [node.inputs[0]!, ints(pads), float(floatOf(node, 'value', 0))];
  node.attributes.delete('pads');
  node.attributes.delete('value');
  return [node];
};

const raiseSlice: Raise = (node, { opset, ints }) => {
  const [starts, ends] = [intsOf(node, 'starts'), intsOf(node, 'ends')];
  if (opset >= 10 || starts === undefined || ends === undefined) return undefined;
  node.inputs = [node.inputs[0]!, ints(starts), ints(ends), ints(intsOf(node, 'axes') ?? [...starts.keys()])];
  node.attributes.clear();
  return [node];
};

const raiseTopK: Raise = (node, { opset, ints }) => {
  if (opset >= 10) return undefined;
  node.inputs = [node.inputs[0]!, ints([intOf(node, 'k', 1)])];
  node.attributes.delete('k');
  return [node];
};

/** In inference it passes its input on. */
const raiseDropout: Raise = (node, { opset }) => {
  if (opset >= 12 || (node.outputs[1] ?? '') !== '') return undefined;
  return [makeNode('Identity', [node.inputs[0]!], [node.outputs[0]!])];
};

/** It took all axes from `axis` on together; now it takes the one. */
const raiseSoftmax: Raise = (node, { opset, fresh }) => {
  if (opset >= LAST) return undefined;
  const axis = intOf(node, 'axis', 1);
  if (axis === -1) return undefined;
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const [shape, flat, result] = ['shape', 'flat', 'scores'].map((what) => fresh(`${output}:${what}`)) as [string, string, string];
  return [
    makeNode('Shape', [input], [shape]),
    makeNode('Flatten', [input], [flat], { axis: intAttribute(axis) }),
    makeNode(node.op, [flat], [result], { axis: intAttribute(-1) }),
    makeNode('Reshape', [result, shape], [output]),
  ];
};

const raiseResize: Raise = (node, { opset, fresh }) => {
  if (opset >= 11) return undefined;
  const [input, given] = node.inputs as [string, string | undefined];
  const nodes: OnnxNode[] = [];
  let scales = given;
  if (scales === undefined) {
    const attribute = node.attributes.get('scales');
    if (attribute === undefined) return undefined;
    scales = fresh(`${node.outputs[0]!}:scales`);
    nodes.push(makeNode('Constant', [], [scales], { value_floats: attribute }));
  }
  const mode = node.attributes.get('mode') ?? textAttribute('nearest');
  const attributes = { mode, coordinate_transformation_mode: textAttribute('asymmetric'), nearest_mode: textAttribute('floor') };
  return [...nodes, makeNode('Resize', [input, '', scales], node.outputs, attributes)];
};

const raiseBatchNormalization: Raise = (node, { opset }) => {
  if (opset >= 9) return undefined;
  if (intOf(node, 'spatial', 1) !== 1) throw impossible('normalizes each place of an image by itself');
  node.attributes.delete('spatial');
  return [node];
};

const raiseScan: Raise = (_node, { opset }) => {
  if (opset < 9) throw impossible('has a Scan of the operator set 8');
  return undefined;
};

const raiseScatter: Raise = (node) => {
  node.op = 'ScatterElements';
  return [node];
};

const RAISE: Readonly<Record<string, Raise>> = {
  BatchNormalization: raiseBatchNormalization,
  Clip: raiseClip,
  Dropout: raiseDropout,
  Hardmax: raiseSoftmax,
  LogSoftmax: raiseSoftmax,
  Pad: raisePad,
  ReduceSum: listToInput('axes', 1, LAST),
  Resize: raiseResize,
  Scan: raiseScan,
  Scatter: raiseScatter,
  Slice: raiseSlice,
  Softmax: raiseSoftmax,
  Split: listToInput('split', 1, LAST),
  Squeeze: listToInput('axes', 1, LAST),
  TopK: raiseTopK,
  Unsqueeze: listToInput('axes', 1, LAST),
  Upsample: raiseResize,
};

function scopeOf(graph: OnnxGraph, opset: number, fresh: (wanted: string) => string): Scope {
  const add = (name: string, tensor: Parameters<typeof makeTensor>[1]): string => {
    graph.initializers.set(name, makeTensor(name, tensor));
    return name;
  };
  return {
    opset,
    fresh,
    ints: (values) => add(fresh('ints'), { dtype: 'INT64', shape: [values.length], data: BigInt64Array.from(values, BigInt) }),
    float: (value) => add(fresh('number'), { dtype: 'FP32', shape: [], data: Float32Array.of(value) }),
  };
}

/**
 * Brings a model to the operator set 13 of ONNX, in which integers have scales by channel, if it is of 7 to 12.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE for what has no counterpart there
 */
export function raiseOpset(model: OnnxModel): void {
  const opset = model.opsets.get('') ?? 0;
  if (opset < FIRST || opset >= LAST) return;
  const fresh = freshNames(model.graph);
  for (const graph of graphsOf(model.graph)) {
    const scope = scopeOf(graph, opset, fresh);
    graph.nodes = graph.nodes.flatMap((node) => (node.domain === '' && RAISE[node.op]?.(node, scope)) || [node]);
  }
  model.opsets.set('', LAST);
}
