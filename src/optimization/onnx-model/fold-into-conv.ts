import { type GraphIndex, freshNames, indexGraph, removeUnused } from './graph-index.ts';
import { constantOf } from './constants.ts';
import type { OnnxGraph, OnnxNode } from './model.ts';
import { floatOf, intOf, intsAttribute, intsOf } from './node.ts';
import { makeTensor, tensorOf } from './tensor-content.ts';

/** What an operator does to every channel of its input: value × factor + offset. */
interface ChannelMap {
  readonly factors: ArrayLike<number>;
  readonly offsets: ArrayLike<number>;
}

function floatsOf(
  graph: OnnxGraph,
  name: string | undefined,
): { readonly shape: readonly number[]; readonly data: Float32Array } | undefined {
  const constant = constantOf(graph, name);
  if (constant === undefined) return undefined;
  const { dtype, shape, data } = tensorOf(constant);
  return dtype === 'FP32' ? { shape, data: data as Float32Array } : undefined;
}

/** Batch normalization in inference: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html. */
function ofBatchNormalization(graph: OnnxGraph, node: OnnxNode): ChannelMap | undefined {
  // With the statistics of the batch it is no constant map.
  if (intOf(node, 'training_mode', 0) !== 0 || node.outputs.filter((name) => name !== '').length > 1) return undefined;
  const [scale, bias, mean, variance] = node.inputs.slice(1).map((name) => floatsOf(graph, name)?.data);
  if (scale === undefined || bias === undefined || mean === undefined || variance === undefined) return undefined;
  const epsilon = floatOf(node, 'epsilon', 1e-5);
  const factors = Float64Array.from(scale, (each, channel) => each / Math.sqrt(variance[channel]! + epsilon));
  return { factors, offsets: factors.map((factor, channel) => bias[channel]! - mean[channel]! * factor) };
}

/** A product or a sum with one number for each channel, or one for all. */
function ofConstant(graph: OnnxGraph, { op, inputs }: OnnxNode, from: string, rank: number, channels: number): ChannelMap | undefined {
  const other = floatsOf(graph, inputs[0] === from ? inputs[1] : inputs[0]);
  if (other === undefined) return undefined;
  const { shape, data } = other;
  // Aligned from the last axis; the channels are the second of the convolution's output.
  const axis = shape.length - (rank - 1);
  if (shape.length > rank || shape.some((size, at) => size !== 1 && at !== axis)) return undefined;
  if (data.length !== 1 && data.length !== channels) return undefined;
  const each = (channel: number): number => data[data.length === 1 ? 0 : channel]!;
  const values = Float64Array.from({ length: channels }, (_value, channel) => each(channel));
  return op === 'Mul'
    ? { factors: values, offsets: new Float64Array(channels) }
    : { factors: new Float64Array(channels).fill(1), offsets: values };
}

function channelMapOf(graph: OnnxGraph, node: OnnxNode, from: string, rank: number, channels: number): ChannelMap | undefined {
  if (node.domain !== '') return undefined;
  if (node.op === 'BatchNormalization') return node.inputs[0] === from ? ofBatchNormalization(graph, node) : undefined;
  return node.op === 'Mul' || node.op === 'Add' ? ofConstant(graph, node, from, rank, channels) : undefined;
}

/** Takes what follows a convolution into its weights. True when it did. */
function foldNext(graph: OnnxGraph, index: GraphIndex, conv: OnnxNode, fresh: (wanted: string) => string): OnnxNode | undefined {
  const [output] = conv.outputs;
  const next = output === undefined ? undefined : index.onlyTaker(output);
  const kernel = floatsOf(graph, conv.inputs[1]);
  if (next === undefined || kernel === undefined) return undefined;
  const hasBias = conv.inputs.length > 2 && conv.inputs[2] !== '';
  const bias = hasBias ? floatsOf(graph, conv.inputs[2])?.data : undefined;
  if (hasBias && bias === undefined) return undefined;
  const channels = kernel.shape[0]!;
  const map = channelMapOf(graph, next, output!, kernel.shape.length, channels);
  if (map === undefined || map.factors.length !== channels) return undefined;
  const { factors, offsets } = map;
  const perChannel = kernel.data.length / channels;
  const weights = kernel.data.map((value, at) => value * factors[Math.floor(at / perChannel)]!);
  const biases = Float32Array.from({ length: channels }, (_value, at) => (bias?.[at] ?? 0) * factors[at]! + offsets[at]!);
  // Another node may take the old ones.
  const [kernelName, biasName] = [fresh(`${conv.inputs[1]!}:folded`), fresh(`${hasBias ? conv.inputs[2]! : conv.inputs[1]!}:bias`)];
  graph.initializers.set(kernelName, makeTensor(kernelName, { dtype: 'FP32', shape: kernel.shape, data: weights }));
  graph.initializers.set(biasName, makeTensor(biasName, { dtype: 'FP32', shape: [channels], data: biases }));
  conv.inputs = [conv.inputs[0]!, kernelName, biasName];
  conv.outputs = [next.outputs[0]!];
  return next;
}

/** The zeros that a Pad adds to the axes of an image, [begin…, end…]; undefined when it does anything else. */
function padsOf(graph: OnnxGraph, node: OnnxNode): readonly number[] | undefined {
  const mode = node.attributes.get('mode');
  if (mode?.kind === 'string' && Buffer.from(mode.value).toString() !== 'constant') return undefined;
  if (node.inputs.length > 3 && node.inputs[3] !== '') return undefined;
  const value = node.inputs.length > 2 && node.inputs[2] !== '' ? floatsOf(graph, node.inputs[2])?.data[0] : floatOf(node, 'value', 0);
  if (value !== 0) return undefined;
  const constant = constantOf(graph, node.inputs[1]);
  const all = constant === undefined ? intsOf(node, 'pads') : Array.from(tensorOf(constant).data as BigInt64Array, Number);
  if (all === undefined || all.length < 6 || all.some((size) => size < 0)) return undefined;
  const rank = all.length / 2;
  const outer = [all[0], all[1], all[rank], all[rank + 1]];
  return outer.every((size) => size === 0) ? [...all.slice(2, rank), ...all.slice(rank + 2)] : undefined;
}

/** Takes zeros that were put around an image into the convolution that follows. True when it did. */
function foldPad(graph: OnnxGraph, index: GraphIndex, pad: OnnxNode): boolean {
  const conv = index.onlyTaker(pad.outputs[0]!);
  if (conv?.op !== 'Conv' || conv.domain !== '' || conv.inputs[0] !== pad.outputs[0]) return false;
  const automatic = conv.attributes.get('auto_pad');
  if (automatic?.kind === 'string' && !['NOTSET', 'VALID', ''].includes(Buffer.from(automatic.value).toString())) return false;
  const added = padsOf(graph, pad);
  if (added === undefined) return false;
  const own = intsOf(conv, 'pads') ?? added.map(() => 0);
  if (own.length !== added.length) return false;
  conv.attributes.delete('auto_pad');
  conv.attributes.set('pads', intsAttribute(own.map((size, at) => size + added[at]!)));
  conv.inputs[0] = pad.inputs[0]!;
  return true;
}

/**
 * Takes batch normalizations, products and sums by channel into the weights of the convolutions before them, and zeros
 * around an image into those after them. What is quantized afterwards are the weights that the model computes with.
 * @returns how many nodes are gone
 */
export function foldIntoConvolutions(graph: OnnxGraph): number {
  const fresh = freshNames(graph);
  const before = graph.nodes.length;
  for (;;) {
    const index = indexGraph(graph);
    const gone = new Set<OnnxNode>();
    for (const node of graph.nodes) {
      if (gone.has(node) || node.domain !== '') continue;
      if (node.op === 'Pad' && foldPad(graph, index, node)) gone.add(node);
      else if (node.op === 'Conv') {
        const next = foldNext(graph, index, node, fresh);
        if (next !== undefined) gone.add(next);
      }
    }
    if (gone.size === 0) break;
    graph.nodes = graph.nodes.filter((node) => !gone.has(node));
  }
  removeUnused(graph);
  return before - graph.nodes.length;
}
