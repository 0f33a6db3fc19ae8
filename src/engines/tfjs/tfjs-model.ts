import type { Tensor } from '@tensorflow/tfjs-core';
import type { Signature } from '../../tensor/signature.ts';

/** A layers or graph model, loaded. Tensors are by the names of the signature. */
export interface TfjsModel {
  readonly signature: Signature;
  /** Gives the wanted outputs in order; everything else that it makes is left to the caller's scope. */
  execute(inputs: ReadonlyMap<string, Tensor>, outputs: readonly string[]): readonly Tensor[];
  /** The same for graphs with control flow, which cannot run in a scope; disposes all but inputs and answers. */
  executeAsync?(inputs: ReadonlyMap<string, Tensor>, outputs: readonly string[]): Promise<readonly Tensor[]>;
  /** Whether a tensor is one of the model's weights, which must outlive a run even if it is an output. */
  ownsTensor?(tensor: Tensor): boolean;
  /** Forgets what a run may have left behind, such as the states of a stateful RNN. */
  reset?(): void;
  dispose(): void;
}
