import { serialization } from '@tensorflow/tfjs-core';
import { MultiHeadAttention } from './attention.ts';
import { PositionEmbedding, SinePositionEncoding, TokenAndPositionEmbedding } from './positions.ts';
import { SequencePooling } from './sequence-pooling.ts';
import { TransformerDecoder, TransformerEncoder } from './transformer.ts';

/**
 * Layers that tfjs has not, with the names, configs and weights that Keras and KerasHub give them. Registered, tfjs makes
 * them from files as it does its own.
 */
const LAYERS = [
  MultiHeadAttention,
  PositionEmbedding,
  SequencePooling,
  SinePositionEncoding,
  TokenAndPositionEmbedding,
  TransformerDecoder,
  TransformerEncoder,
];

let registered = false;

export function registerLayers(): void {
  if (registered) return;
  registered = true;
  for (const Layer of LAYERS) serialization.registerClass(Layer);
}
