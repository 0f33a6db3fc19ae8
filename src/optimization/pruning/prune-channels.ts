import { type Fields, isFields } from '../../compiler/topology/config.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type ChannelGraph, channelGraphOf } from './channel-graph.ts';
import { type ChannelSlice, NO_CHANNEL } from './channels.ts';
import { axisView, gather, type LayersModel } from './layers-model.ts';

export interface PruneChannelsOptions {
  /** Share of the channels that goes, 0 to 1. */
  readonly share: number;
  /** `layer`: so many of each layer. `global`: of all together, the least important ones wherever they are. */
  readonly scope: 'layer' | 'global';
  /** Layers that may be pruned; all when left out. */
  readonly layers?: readonly string[] | undefined;
}

/** Of a layer whose channels can go. */
export interface PrunedLayer {
  readonly layer: string;
  /** Channels before and after. */
  readonly before: number;
  readonly after: number;
}

export interface PrunedModel extends LayersModel {
  /** In the order of the model. */
  readonly layers: readonly PrunedLayer[];
}

/** At least this share of the channels of a layer stays when all layers are looked at together, and one in any case. */
const LEAST_SHARE = 0.1;

/** Sums of the squares of the numbers at each place of an axis. */
function squaresAlong({ shape, data }: Tensor, axis: number): Float64Array {
  const { before, size, after } = axisView(shape, axis);
  const sums = new Float64Array(size);
  const values = data as Float32Array;
  for (let row = 0; row < before; row += 1) {
    for (let place = 0; place < size; place += 1) {
      const from = (row * size + place) * after;
      for (let index = from; index < from + after; index += 1) sums[place]! += values[index]! ** 2;
    }
  }
  return sums;
}

/**
 * How much each class of channels matters: the norm of the weights that make it times the norm of those that take it. One
 * of them alone says little, for behind ReLU and its kin the next layer can make up for any factor.
 */
function importances({ slices, classes }: ChannelGraph, weights: LayersModel['weights']): ReadonlyMap<number, number> {
  const sums = { makes: new Map<number, number>(), takes: new Map<number, number>(), scales: new Map<number, number>() };
  for (const { weight, axis, channels, role } of slices) {
    if (role === 'follows') continue;
    const squares = squaresAlong(weights.get(weight)!, axis);
    for (const [place, channel] of channels.entries()) {
      if (channel === NO_CHANNEL) continue;
      const root = classes.rootOf(channel);
      sums[role].set(root, (sums[role].get(root) ?? 0) + squares[place]!);
    }
  }
  return new Map(
    [...sums.makes].map(([root, makes]) => {
      // A batch normalization undoes whatever factor the weights before it have.
      const made = sums.scales.get(root) ?? makes;
      return [root, Math.sqrt(made * (sums.takes.get(root) ?? 1))];
    }),
  );
}

/** Classes that can go, by the layer that makes the first of their channels. */
function candidatesOf({ spaces, classes }: ChannelGraph, wanted: readonly string[] | undefined): ReadonlyMap<string, readonly number[]> {
  const seen = new Set<number>();
  const byLayer = new Map<string, number[]>();
  const refused = new Set<number>();
  for (const { layer, first, count } of spaces) {
    if (wanted === undefined || wanted.includes(layer)) continue;
    for (let channel = first; channel < first + count; channel += 1) refused.add(classes.rootOf(channel));
  }
  for (const { layer, first, count } of spaces) {
    for (let channel = first; channel < first + count; channel += 1) {
      const root = classes.rootOf(channel);
      if (seen.has(root) || refused.has(root) || classes.isPinned(channel)) continue;
      seen.add(root);
      byLayer.set(layer, [...(byLayer.get(layer) ?? []), root]);
    }
  }
  return byLayer;
}

/** The classes that go. */
function chosen(graph: ChannelGraph, weights: LayersModel['weights'], { share, scope, layers }: PruneChannelsOptions): ReadonlySet<number> {
  const importance = importances(graph, weights);
  const candidates = [...candidatesOf(graph, layers).values()].map((roots) => {
    const mean = roots.reduce((sum, root) => sum + importance.get(root)!, 0) / roots.length;
    const ranked = roots
      .map((root) => ({ root, value: mean > 0 ? importance.get(root)! / mean : 0 }))
      .toSorted((one, other) => one.value - other.value);
    // One stays, whatever is asked for.
    const most = roots.length - Math.max(1, Math.ceil(LEAST_SHARE * roots.length));
    return { ranked, most, own: Math.min(roots.length - 1, Math.floor(share * roots.length)) };
  });
  if (scope === 'layer') return new Set(candidates.flatMap(({ ranked, own }) => ranked.slice(0, own).map(({ root }) => root)));
  const total = candidates.reduce((sum, { ranked }) => sum + ranked.length, 0);
  const all = candidates.flatMap(({ ranked, most }) => ranked.slice(0, most)).toSorted((one, other) => one.value - other.value);
  return new Set(all.slice(0, Math.floor(share * total)).map(({ root }) => root));
}

/** The same value with some fields of the config of each layer changed, at whatever depth the layers are. */
function withConfigs(value: unknown, changes: ReadonlyMap<string, Fields>): unknown {
  if (Array.isArray(value)) return value.map((each) => withConfigs(each, changes));
  if (!isFields(value)) return value;
  const { config } = value;
  const name = isFields(config) ? config['name'] : undefined;
  const change = 'class_name' in value && typeof name === 'string' ? changes.get(name) : undefined;
  if (change !== undefined) return { ...value, config: { ...(config as Fields), ...change } };
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withConfigs(each, changes)]));
}

function withoutChannels(
  weights: LayersModel['weights'],
  slices: readonly ChannelSlice[],
  isKept: (channel: number) => boolean,
): Map<string, Tensor> {
  const pruned = new Map(weights);
  for (const { weight, axis, channels } of slices) {
    const kept = channels.flatMap((channel, place) => (channel === NO_CHANNEL || isKept(channel) ? [place] : []));
    if (kept.length < channels.length) pruned.set(weight, gather(pruned.get(weight)!, axis, kept));
  }
  return pruned;
}

/**
 * Takes whole channels out of a layers model, the least important first, from every weight in which they lie: the layers
 * become smaller, not only emptier. What sums, concatenations and normalizations tie together goes together.
 * @throws SlipwayError INVALID_MODEL, COMPILE_FAILED as the compiler's reader
 */
export function pruneChannels(model: LayersModel, options: PruneChannelsOptions): PrunedModel {
  const graph = channelGraphOf(model);
  const { classes, spaces, slices } = graph;
  const gone = chosen(graph, model.weights, options);
  const isKept = (channel: number): boolean => !gone.has(classes.rootOf(channel));
  const layers = spaces.map(({ layer, field, first, count }) => {
    const after = Array.from({ length: count }, (_channel, index) => first + index).filter(isKept).length;
    return {
      layer,
      field,
      before: count,
      after,
      canGo: Array.from({ length: count }).some((_channel, index) => !classes.isPinned(first + index)),
    };
  });
  const changes = new Map(
    layers.filter(({ before, after }) => after < before).map(({ layer, field, after }) => [layer, { [field]: after }]),
  );
  return {
    topology: withConfigs(model.topology, changes) as Fields,
    weights: withoutChannels(model.weights, slices, isKept),
    layers: layers.filter(({ canGo }) => canGo).map(({ layer, before, after }) => ({ layer, before, after })),
  };
}

/** The layers whose channels can go. @throws as `pruneChannels` */
export function prunableLayers(model: LayersModel): readonly string[] {
  return [...candidatesOf(channelGraphOf(model), undefined).keys()];
}
