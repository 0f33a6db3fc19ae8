import type { Value } from '../graph/graph.ts';
import { float, floats, int64, int64s } from '../graph/tensors.ts';
import type { LowerLayer } from '../lowering/layer-call.ts';
import { plain, rankOf } from '../lowering/layer-tensor.ts';
import { wholeNumbers } from './embedding.ts';

/** Zeroes the steps whose every feature has the value to mask, and marks them. */
const masking: LowerLayer = (call) => {
  const { graph } = call;
  const x = call.arrange.plain(call.input);
  const equal = graph.add('Equal', [x, graph.constant(float(call.config.number('mask_value', 0)))]);
  const axes = graph.constant(int64s([rankOf(call.input) - 1]));
  const masked = graph.add('ReduceMin', [graph.add('Cast', [equal], { to: 'FP32' }), axes]);
  const kept = graph.add('Sub', [graph.constant(float(1)), masked]);
  const mask = graph.add('Cast', [graph.add('Squeeze', [kept, axes])], { to: 'BOOL' });
  return plain(graph.add('Mul', [x, kept]), { value: mask });
};

const rescaling: LowerLayer = (call) => {
  const { graph, config, input } = call;
  const x = input.value.dtype === 'FP32' ? input.value : graph.add('Cast', [input.value], { to: 'FP32' });
  const scaled = graph.add('Mul', [x, graph.constant(float(config.number('scale')))]);
  return { ...input, value: graph.add('Add', [scaled, graph.constant(float(config.number('offset', 0)))]), mask: undefined };
};

/** A vector for each index, or the vectors of a row of indices as one: which there are, or how often. */
const categoryEncoding: LowerLayer = (call) => {
  const { graph, config } = call;
  const tokens = config.number('num_tokens');
  const mode = config.text('output_mode', 'multi_hot');
  const x = wholeNumbers(call, call.arrange.plain(call.input));
  const oneHot = (indices: Value): Value =>
    graph.add('OneHot', [indices, graph.constant(int64(tokens)), graph.constant(floats([2], [0, 1]))]);
  const rank = x.shape.length;
  const axes = graph.constant(int64s([rank - 1]));
  switch (mode.replaceAll('_', '').toLowerCase()) {
    case 'onehot':
      return plain(oneHot(x.shape.at(-1) === 1 ? graph.add('Squeeze', [x, axes]) : x));
    case 'multihot':
      return plain(graph.add('ReduceMax', [oneHot(x), axes], { keepdims: 0 }));
    case 'count':
      return plain(graph.add('ReduceSum', [oneHot(x), axes], { keepdims: 0 }));
    default:
      return call.fail(`the output mode "${mode}" cannot be compiled; use "one_hot", "multi_hot" or "count"`);
  }
};

const unsupported =
  (why: string): LowerLayer =>
  (call) =>
    call.fail(why);

export const PREPROCESSING_LAYERS: Readonly<Record<string, LowerLayer>> = {
  Masking: masking,
  Rescaling: rescaling,
  CategoryEncoding: categoryEncoding,
  CenterCrop: unsupported('tfjs crops by interpolation, which no operator of ONNX does; crop images before they are sent'),
  Resizing: unsupported('tfjs loses the batch of a resized image, so nothing can come after; resize images before they are sent'),
  RandomWidth: unsupported('it changes its output at random; leave it out of the model that is served'),
  RandomHeight: unsupported('it changes its output at random; leave it out of the model that is served'),
};
