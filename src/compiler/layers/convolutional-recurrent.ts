import type { Value } from '../graph/graph.ts';
import { int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { channelsFirst, inOwnOrder, type LayerTensor } from '../lowering/layer-tensor.ts';
import { activated } from './activations.ts';
import { biasOf, convolve, outFirst, windowOf } from './convolution.ts';
import { checkDropsNothing } from './recurrent-cells.ts';

interface Gates {
  readonly x: Value;
  readonly state: Value;
  readonly carry: Value;
}

/** One step of an LSTM whose products are convolutions (X. Shi et al., Convolutional LSTM Network, 2015). */
function step(call: LayerCall, { x, state, carry }: Gates): readonly [state: Value, carry: Value] {
  const { graph, config } = call;
  const window = { ...windowOf(call, 2), strides: [1, 1], dilations: [1, 1], padding: 'same' };
  const recurrent = convolve(call, {
    x: state,
    kernel: call.weight('recurrent_kernel', [{ transpose: outFirst(2) }]),
    bias: undefined,
    window,
    group: 1,
  });
  const activation = (key: string, otherwise: string) => (value: Value) =>
    activated(call, { value, order: inOwnOrder(4) }, config.className(key, otherwise)).value;
  const inner = activation('activation', 'tanh');
  const gate = activation('recurrent_activation', 'hard_sigmoid');
  const [input, forget, candidate, output] = graph.addAll('Split', [graph.add('Add', [x, recurrent])], { axis: 1, num_outputs: 4 });
  const added = graph.add('Mul', [gate(input!), inner(candidate!)]);
  const next = graph.add('Add', [graph.add('Mul', [gate(forget!), carry]), added]);
  return [graph.add('Mul', [gate(output!), inner(next)]), next];
}

/** The convolutions of the inputs of all steps: [time, batch, 4 · filters, height, width]. */
function convolvedInputs(call: LayerCall, x: Value): Value {
  const { graph } = call;
  const sizes = x.shape.slice(2).map((size) => (typeof size === 'number' ? size : call.fail('the sizes of its images must be known')));
  const images = graph.add('Reshape', [x, graph.constant(int64s([-1, ...sizes]))]);
  const products = convolve(call, {
    x: images,
    kernel: call.weight('kernel', [{ transpose: outFirst(2) }]),
    bias: biasOf(call),
    window: windowOf(call, 2),
    group: 1,
  });
  const steps = graph.add('Slice', [graph.add('Shape', [x]), ...[0, 2].map((at) => graph.constant(int64s([at])))]);
  const wanted = graph.add('Concat', [steps, graph.constant(int64s(products.shape.slice(1) as number[]))], { axis: 0 });
  return graph.add('Reshape', [products, wanted]);
}

const convLstm: LowerLayer = (call) => {
  const { graph, config } = call;
  if (config.boolean('stateful', false))
    call.fail('it keeps states from one request to the next, which a graph cannot; set "stateful" to false');
  if (call.mode === 'training') checkDropsNothing(call, config);
  if (call.mask() !== undefined) call.fail('a mask of images cannot be compiled; drop it before');
  const first = config.text('data_format', 'channels_last').toLowerCase() === 'channels_first';
  const images = first ? inOwnOrder(4) : channelsFirst(4);
  // Images with the channels first, and the time before the batch.
  const order = [1, 0, ...images.slice(1).map((axis) => axis + 1)];
  const inputs = convolvedInputs(call, call.arrange.ordered(call.input, order));
  const [, batch, channels, height, width] = inputs.shape as [number, number, number, number, number];
  const given = call.inputs.slice(1).map((tensor) => call.arrange.ordered(tensor, images));
  if (given.length !== 0 && given.length !== 2) call.fail(`takes 2 first states, not ${given.length}`);
  const sizes = graph.add('Slice', [graph.add('Shape', [inputs]), ...[1, 2].map((at) => graph.constant(int64s([at])))]);
  const zeros = (): Value =>
    graph.add('ConstantOfShape', [graph.add('Concat', [sizes, graph.constant(int64s([channels / 4, height, width]))], { axis: 0 })]);
  const states = given.length === 2 ? given : [zeros(), zeros()];

  const ofState = { dtype: 'FP32', shape: [batch, channels / 4, height, width] } as const;
  const body = graph.body([ofState, ofState, { dtype: 'FP32', shape: [batch, channels, height, width] }], ([state, carry, x]) => {
    const [next, nextCarry] = step(call, { x: x!, state: state!, carry: carry! });
    return [next, nextCarry, next];
  });
  const directions = config.boolean('go_backwards', false) ? [1] : [0];
  const [last, carry, all] = graph.addAll('Scan', [...states, inputs], { body, num_scan_inputs: 1, scan_input_directions: directions });
  const image = (value: Value): LayerTensor => ({ value, order: images });
  const output = config.boolean('return_sequences', false) ? { value: all!, order } : image(last!);
  return config.boolean('return_state', false) ? [output, image(last!), image(carry!)] : output;
};

/** Recurrent layers over images. */
export const CONVOLUTIONAL_RECURRENT_LAYERS: Readonly<Record<string, LowerLayer>> = { ConvLSTM2D: convLstm };
