import { elementsOf } from '../graph/dimension.ts';
import type { Value } from '../graph/graph.ts';
import { float, int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { type LayerTensor, plain } from '../lowering/layer-tensor.ts';
import { type Fields, isFields } from '../topology/config.ts';
import { reversedInTime } from './reversed.ts';

interface WrappedLayer {
  readonly fields: Fields;
  readonly config: Fields;
  readonly name: string;
}

function wrappedLayer(call: LayerCall): WrappedLayer {
  const fields = call.config.fields['layer'];
  const config = isFields(fields) ? fields['config'] : undefined;
  if (!isFields(fields) || !isFields(config)) return call.fail('needs a "layer" to wrap');
  return { fields, config, name: String(config['name']) };
}

/** Applies a layer to each step: steps become elements of the batch. */
const timeDistributed: LowerLayer = (call) => {
  const { graph } = call;
  const { fields } = wrappedLayer(call);
  const x = call.arrange.plain(call.input);
  const [batch, time, ...rest] = x.shape;
  if (rest.length === 0) call.fail('takes sequences, so an input of rank 3 or more');
  const sizes = rest.map((size) => (typeof size === 'number' ? size : call.fail('the sizes of a step must be known')));
  const steps = graph.add('Reshape', [x, graph.constant(int64s([-1, ...sizes]))]);
  const [result, ...more] = call.wrapped(fields, undefined, [plain(steps)]);
  if (result === undefined || more.length > 0) return call.fail('wraps a layer of one output');
  const given = call.arrange.plain(result);
  const after = given.shape
    .slice(1)
    .map((size) => (typeof size === 'number' ? size : call.fail('the sizes that a step gives must be known')));
  // Where the number of steps is not known, both sizes are read from the input.
  const wanted =
    typeof time === 'number'
      ? graph.constant(int64s([-1, time, ...after]))
      : graph.add(
          'Concat',
          [
            graph.add('Slice', [graph.add('Shape', [x]), ...[0, 2].map((at) => graph.constant(int64s([at])))]),
            graph.constant(int64s(after)),
          ],
          { axis: 0 },
        );
  const value = graph.add('Reshape', [given, wanted]);
  if (elementsOf(value.shape) !== elementsOf([batch!, time!, ...after])) call.fail('gives another number of steps than it takes');
  return plain(value, call.input.mask);
};

const MERGES: Readonly<Record<string, (call: LayerCall, forward: Value, backward: Value) => Value>> = {
  concat: ({ graph }, forward, backward) => graph.add('Concat', [forward, backward], { axis: -1 }),
  sum: ({ graph }, forward, backward) => graph.add('Add', [forward, backward]),
  ave: ({ graph }, forward, backward) => graph.add('Mul', [graph.constant(float(0.5)), graph.add('Add', [forward, backward])]),
  mul: ({ graph }, forward, backward) => graph.add('Mul', [forward, backward]),
};

/** One layer forward and one backward through time. The names of their weights begin with `forward_` and `backward_`. */
const bidirectional: LowerLayer = (call) => {
  const { graph, config } = call;
  const { fields, config: own, name } = wrappedLayer(call);
  const [sequence, ...first] = call.inputs;
  const half = first.length / 2;
  const run = (prefix: string, backwards: boolean, states: readonly LayerTensor[]): readonly LayerTensor[] =>
    call.wrapped(fields, `${prefix}_${name}`, [sequence!, ...states], { go_backwards: backwards });
  const begin = own['go_backwards'] === true;
  const [forward, ...forwardStates] = run('forward', begin, first.slice(0, half)) as [LayerTensor, ...LayerTensor[]];
  const [backward, ...backwardStates] = run('backward', !begin, first.slice(half)) as [LayerTensor, ...LayerTensor[]];
  const states = [...forwardStates, ...backwardStates];
  let back = backward.value;
  if (own['return_sequences'] === true) back = reversedInTime(graph, back);
  if (config.fields['merge_mode'] === null) return [forward, { ...backward, value: back }, ...states];
  const mode = config.text('merge_mode', 'concat');
  const merge = MERGES[mode] ?? call.fail(`the merge mode "${mode}" is none of ${Object.keys(MERGES).join(', ')}`);
  return [{ ...forward, value: merge(call, forward.value, back) }, ...states];
};

export const WRAPPER_LAYERS: Readonly<Record<string, LowerLayer>> = {
  TimeDistributed: timeDistributed,
  Bidirectional: bidirectional,
};
