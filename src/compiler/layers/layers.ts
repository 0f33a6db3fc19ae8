import type { LowerLayer } from '../lowering/layer-call.ts';
import { ACTIVATION_LAYERS } from './activations.ts';
import { ARRANGEMENT_LAYERS } from './arrangement.ts';
import { ATTENTION_LAYERS } from './attention.ts';
import { CONVOLUTION_LAYERS } from './convolution.ts';
import { CONVOLUTIONAL_RECURRENT_LAYERS } from './convolutional-recurrent.ts';
import { DENSE_LAYERS } from './dense.ts';
import { EMBEDDING_LAYERS } from './embedding.ts';
import { MERGING_LAYERS } from './merging.ts';
import { NORMALIZATION_LAYERS } from './normalization.ts';
import { POOLING_LAYERS } from './pooling.ts';
import { POSITION_LAYERS } from './positions.ts';
import { PREPROCESSING_LAYERS } from './preprocessing.ts';
import { RECURRENT_LAYERS } from './recurrent.ts';
import { REGULARIZATION_LAYERS } from './regularization.ts';
import { SEQUENCE_POOLING_LAYERS } from './sequence-pooling.ts';
import { SPACE_LAYERS } from './space.ts';
import { TRANSFORMER_LAYERS } from './transformer.ts';
import { WRAPPER_LAYERS } from './wrappers.ts';

/** How each class of layers is lowered. */
export const LAYERS: Readonly<Record<string, LowerLayer>> = {
  ...ACTIVATION_LAYERS,
  ...ARRANGEMENT_LAYERS,
  ...ATTENTION_LAYERS,
  ...CONVOLUTION_LAYERS,
  ...CONVOLUTIONAL_RECURRENT_LAYERS,
  ...DENSE_LAYERS,
  ...EMBEDDING_LAYERS,
  ...MERGING_LAYERS,
  ...NORMALIZATION_LAYERS,
  ...POOLING_LAYERS,
  ...POSITION_LAYERS,
  ...PREPROCESSING_LAYERS,
  ...RECURRENT_LAYERS,
  ...REGULARIZATION_LAYERS,
  ...SEQUENCE_POOLING_LAYERS,
  ...SPACE_LAYERS,
  ...TRANSFORMER_LAYERS,
  ...WRAPPER_LAYERS,
};
