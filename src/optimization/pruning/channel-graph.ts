import { readTopology } from '../../compiler/topology/read-topology.ts';
import { INPUT_LAYER, type LayerModel, type Model, type TensorReference } from '../../compiler/topology/model.ts';
import { createWeightFinder } from '../../compiler/lowering/weight-finder.ts';
import { type ChannelSlice, type ChannelSpace, type Features, type LayerContext, NO_CHANNEL } from './channels.ts';
import { type ChannelClasses, createChannelClasses } from './channel-classes.ts';
import { type LayersModel, storedWeights } from './layers-model.ts';
import { LAYER_CHANNELS } from './layer-channels.ts';

/** Which channels there are in a model, and where in its weights they lie. */
export interface ChannelGraph {
  readonly spaces: readonly ChannelSpace[];
  readonly slices: readonly ChannelSlice[];
  readonly classes: ChannelClasses;
}

const UNFOLLOWED: Features = { channels: undefined, rank: undefined, axis: 'last', isFlat: false };

function alongAxis({ channels, isFlat, axis }: Features, size: number): readonly number[] | undefined {
  if (channels === undefined) return undefined;
  if (!isFlat) return channels.length === size ? channels : undefined;
  const places = size / channels.length;
  if (!Number.isInteger(places)) return undefined;
  return Array.from({ length: size }, (_place, index) => channels[axis === 'last' ? index % channels.length : Math.floor(index / places)]!);
}

/**
 * Follows the channels of a layers model from the layers that make them to those that take them: Sequential models, and
 * Functional ones whose layers are each called once. What is not known is left whole.
 * @throws SlipwayError INVALID_MODEL, COMPILE_FAILED as the compiler's reader
 */
export function channelGraphOf({ topology, weights }: LayersModel): ChannelGraph {
  const model: Model = readTopology(topology);
  const finder = createWeightFinder(storedWeights(weights));
  const classes = createChannelClasses();
  const spaces: ChannelSpace[] = [];
  const slices: ChannelSlice[] = [];
  const known = new Map<string, Features>();

  const pin = ({ channels = [] }: Features): void => {
    for (const channel of channels) if (channel !== NO_CHANNEL) classes.pin(channel);
  };

  function contextOf(layer: LayerModel, inputs: readonly Features[]): LayerContext {
    const weightOf = (name: string) => finder.find([layer.name], name);
    return {
      layer,
      inputs,
      shapeOf: (name) => weightOf(name)?.shape,
      space(field, count) {
        const first = classes.create(count);
        spaces.push({ layer: layer.name, field, first, count });
        return Array.from({ length: count }, (_channel, index) => first + index);
      },
      slice(name, axis, channels, role) {
        const weight = weightOf(name);
        if (weight === undefined) return;
        if (weight.shape[axis] !== channels.length)
          throw new Error(`${weight.name} has ${weight.shape[axis]} places, not ${channels.length}`);
        slices.push({ weight: weight.name, axis, channels, role });
      },
      along(features, size) {
        const channels = alongAxis(features, size);
        if (channels === undefined) pin(features);
        return channels;
      },
      pin,
      join(one, other) {
        for (const [index, channel] of one.entries()) {
          const second = other[index]!;
          if (channel === NO_CHANNEL || second === NO_CHANNEL) {
            for (const each of [channel, second]) if (each !== NO_CHANNEL) classes.pin(each);
          } else classes.join(channel, second);
        }
      },
    };
  }

  function inputFeatures({ config }: LayerModel): Features {
    const shape = config.fields['batch_input_shape'] ?? config.fields['batch_shape'];
    return { ...UNFOLLOWED, rank: Array.isArray(shape) ? shape.length : undefined };
  }

  function featuresOf({ layer: name, output }: TensorReference): Features {
    const found = known.get(name);
    if (found !== undefined) return found;
    const layer = model.layers.get(name)!;
    let features = UNFOLLOWED;
    if (layer.className === INPUT_LAYER) features = inputFeatures(layer);
    else {
      const inputs = layer.calls.flatMap((call) => [...call.inputs, ...call.named.values()]).map(featuresOf);
      const rule =
        layer.calls.length === 1 && layer.calls[0]!.named.size === 0 && output === 0 ? LAYER_CHANNELS[layer.className] : undefined;
      if (rule === undefined) inputs.forEach(pin);
      else features = rule(contextOf(layer, inputs)) ?? UNFOLLOWED;
    }
    known.set(name, features);
    return features;
  }

  for (const { tensor } of model.outputs) pin(featuresOf(tensor));
  return { spaces, slices, classes };
}
