import type { Distribution } from '../../engines/training/draws.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Shape } from '../graph/dimension.ts';
import type { Value } from '../graph/graph.ts';
import type { Config, Fields } from '../topology/config.ts';
import type { Arranger, LayerTensor } from './layer-tensor.ts';
import type { WeightStep } from './weight-steps.ts';

/**
 * What a graph is for. `serving`: the weights never change, so what follows from them may be computed ahead. `training`: it
 * is differentiated, and layers do what they do in training alone. `evaluation`: it gives what `serving` gives, but weights
 * are inputs, laid out as in `training`.
 */
export type LoweringMode = 'serving' | 'training' | 'evaluation';

/** One call of one layer, while it is lowered. */
export interface LayerCall {
  readonly className: string;
  readonly config: Config;
  readonly inputs: readonly LayerTensor[];
  /** Inputs by keyword, as `value` of an attention. */
  readonly named: ReadonlyMap<string, LayerTensor>;
  /** What the call says by keywords that are no tensors. */
  readonly keywords: Fields;
  readonly graph: GraphBuilder;
  readonly mode: LoweringMode;
  /** Whether the layer's weights are trained: in training, and unless the layer is frozen ("trainable": false). */
  readonly isTrained: boolean;
  readonly arrange: Arranger;
  /** The first input. */
  readonly input: LayerTensor;
  /** The mask of the first input for layers that heed it. @throws SlipwayError COMPILE_FAILED when it is unclear */
  mask(): Value | undefined;
  /** A weight by its name in the layer, as a value of the graph. The same steps give the same value, also for other calls. */
  weight(name: string, steps?: readonly WeightStep[]): Value;
  /** In training: the layer has changed a weight that no gradient trains, such as a moving average. A next call sees it changed. */
  update(weight: Value, next: Value): void;
  /** A weight after the updates of earlier calls in this step. */
  updated(weight: Value): Value;
  /** In training: FP32 random numbers that are drawn anew for each step. @param shape sizes known, but for the batch that it begins with. */
  draw(distribution: Distribution, shape: Shape): Value;
  /** The numbers of a weight. */
  tensor(name: string): Tensor;
  /** A value that is made of the layer's weights and made once, whatever the number of calls. */
  derived(name: string, make: () => Tensor): Value;
  /** Lowers the layer that another one wraps. @param name as it is in the names of the weights; undefined when it is not. */
  wrapped(layer: Fields, name: string | undefined, inputs: readonly LayerTensor[], changes?: Fields): readonly LayerTensor[];
  /** Ends with a message that names the layer. The sentence goes on after "The layer "dense": ". */
  fail(message: string): never;
}

/** Lowers one call; several outputs for layers that have several. */
export type LowerLayer = (call: LayerCall) => LayerTensor | readonly LayerTensor[];
