import type { Tensor } from '../../tensor/tensor.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Config, Fields } from '../topology/config.ts';
import type { Arranger, LayerTensor } from './layer-tensor.ts';
import type { WeightStep } from './weight-steps.ts';

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
  /** The graph is to be differentiated: operators that have a derivative are to be preferred to faster ones. */
  readonly training: boolean;
  readonly arrange: Arranger;
  /** The first input. */
  readonly input: LayerTensor;
  /** The mask of the first input for layers that heed it. @throws SlipwayError COMPILE_FAILED when it is unclear */
  mask(): Value | undefined;
  /** A weight by its name in the layer, as a value of the graph. The same steps give the same value, also for other calls. */
  weight(name: string, steps?: readonly WeightStep[]): Value;
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
