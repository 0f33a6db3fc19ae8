import type { LayerModel } from '../../compiler/topology/model.ts';

/** Stands for a place that belongs to no channel that could go. */
export const NO_CHANNEL = -1;

/** What lies along an axis of a weight. */
export interface ChannelSlice {
  readonly weight: string;
  readonly axis: number;
  /** For each place of the axis its channel. */
  readonly channels: readonly number[];
  /**
   * `makes`: what the channel is computed with; `takes`: what it is used with; `scales`: a factor on it; `follows`: nothing
   * that says how much it matters.
   */
  readonly role: 'makes' | 'takes' | 'scales' | 'follows';
}

/** Channels of one layer: filters, neurons, attention heads. */
export interface ChannelSpace {
  readonly layer: string;
  /** Of the layer's config: how many there are. */
  readonly field: string;
  readonly first: number;
  readonly count: number;
}

/** What lies along the channel axis of a tensor between layers. */
export interface Features {
  /** Undefined where they are not followed: nothing that made them can go. */
  readonly channels: readonly number[] | undefined;
  readonly rank: number | undefined;
  /** Where the channels are: `last`, or behind the batch. */
  readonly axis: 'last' | 'first';
  /** The grid was laid out flat: each channel has many places, how many the next weight tells. */
  readonly isFlat: boolean;
}

/** What a rule for a class of layers works with. */
export interface LayerContext {
  readonly layer: LayerModel;
  readonly inputs: readonly Features[];
  /** The shape of a weight of the layer; undefined when it has none of this name. */
  shapeOf(weight: string): readonly number[] | undefined;
  /** New channels of this layer. */
  space(field: string, count: number): readonly number[];
  /** Says what lies along an axis of a weight; one that the layer does not have is passed over. */
  slice(weight: string, axis: number, channels: readonly number[], role: ChannelSlice['role']): void;
  /**
   * The channels of the places of an axis that takes the features; undefined, and the features stay, when that cannot be told.
   * @param size of the axis
   */
  along(features: Features, size: number): readonly number[] | undefined;
  /** All of the features stay. */
  pin(features: Features): void;
  join(one: readonly number[], other: readonly number[]): void;
}
