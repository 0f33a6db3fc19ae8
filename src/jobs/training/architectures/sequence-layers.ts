import type { InputSpec } from '../../../datasets/dataset.ts';
import type { LayerConfig } from '../../../engines/training/trainer.ts';
import { dropped, invalid, layer } from './layer-config.ts';
import { shownShape } from './layer-shapes.ts';
import type { Family } from './schema.ts';

/** Sequences are [steps, features]; a row of numbers is a sequence of single ones, and a grey image one of its rows. */
function asSequence({ shape }: InputSpec, kind: string): LayerConfig[] {
  if (shape.length === 2) return [];
  if (shape.length === 1) return [layer('Reshape', { target_shape: [shape[0]!, 1] })];
  if (shape.length === 3) return [layer('Reshape', { target_shape: [shape[0]!, shape[1]! * shape[2]!] })];
  throw invalid(`${kind} is for sequences of the shape [steps, features]; the input has the shape ${shownShape(shape)}.`);
}

/** Tokens as rows of numbers. @param masked whether the 0 that fills texts up is masked, so that no layer behind counts it */
export function embedded({ vocabularySize }: InputSpec, embedding: number, masked: boolean): LayerConfig {
  return layer('Embedding', { input_dim: vocabularySize!, output_dim: embedding, mask_zero: masked });
}

export function isTokens({ vocabularySize }: InputSpec): boolean {
  return vocabularySize !== undefined;
}

/** A text as the mean of what its tokens are embedded as, whatever their order. */
export function bagOfTokens(input: InputSpec, embedding: number): LayerConfig[] {
  return [embedded(input, embedding, true), layer('SequencePooling', { mode: 'mean' })];
}

const RECURRENT = { rnn: 'SimpleRNN', lstm: 'LSTM', gru: 'GRU' } as const;

/**
 * @param everyStep whether each step gives something, and not the last one alone; what fills a text up stands behind its
 * tokens, which do not see it, so nothing need be masked then
 */
export function recurrentLayers(
  { kind, units, layers, embedding, dropout }: Extract<Family, { kind: keyof typeof RECURRENT }>,
  input: InputSpec,
  everyStep: boolean,
): LayerConfig[] {
  const before = isTokens(input) ? [embedded(input, embedding, !everyStep)] : asSequence(input, kind);
  const recurrent = Array.from({ length: layers }, (_each, index) => [
    layer(RECURRENT[kind], {
      units,
      activation: 'tanh',
      return_sequences: everyStep || index < layers - 1,
      ...(kind !== 'rnn' && { recurrent_activation: 'sigmoid' }),
      ...(kind === 'gru' && { reset_after: false }),
    }),
    ...dropped(dropout),
  ]);
  return [...before, ...recurrent.flat()];
}

/**
 * Blocks that begin with their norm, and a norm behind the last, as in GPT-2: they train without a warm-up.
 * @param masked whether texts are filled up, which no token may see
 */
export function transformerLayers(
  { kind, width, heads, layers, feedforward, dropout }: Extract<Family, { kind: 'transformer-encoder' | 'transformer-decoder' }>,
  input: InputSpec,
  everyStep: boolean,
  masked: boolean,
): LayerConfig[] {
  if (!isTokens(input))
    throw invalid(
      `${kind} is for texts; the input is of numbers with the shape ${shownShape(input.shape)}. lstm and gru take such sequences.`,
    );
  const block = layer(kind === 'transformer-encoder' ? 'TransformerEncoder' : 'TransformerDecoder', {
    intermediate_dim: feedforward ?? 4 * width,
    num_heads: heads,
    dropout,
    activation: 'relu',
    normalize_first: true,
  });
  return [
    layer('TokenAndPositionEmbedding', {
      vocabulary_size: input.vocabularySize!,
      sequence_length: input.shape[0]!,
      embedding_dim: width,
      mask_zero: masked,
    }),
    ...dropped(dropout),
    ...Array.from({ length: layers }, () => block),
    layer('LayerNormalization', { epsilon: 1e-5 }),
    ...(everyStep ? [] : [layer('SequencePooling', { mode: kind === 'transformer-encoder' ? 'mean' : 'last' })]),
  ];
}
