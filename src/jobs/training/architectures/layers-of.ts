import type { InputSpec, TargetSpec } from '../../../datasets/dataset.ts';
import type { LayerConfig } from '../../../engines/training/trainer.ts';
import { dense, dropped, EMBEDDINGS, invalid, layer } from './layer-config.ts';
import { shownShape } from './layer-shapes.ts';
import type { Architecture, Family } from './schema.ts';
import { withSeeds } from './seeds.ts';
import { bagOfTokens, embedded, isTokens, recurrentLayers, transformerLayers } from './sequence-layers.ts';

function hidden(sizes: readonly number[], activation: string, dropout: number): LayerConfig[] {
  return sizes.flatMap((units) => [dense(units, activation), ...dropped(dropout)]);
}

function imageShape({ shape }: InputSpec, kind: string): readonly number[] {
  if (shape.length === 3) return shape;
  throw invalid(`${kind} is for images of the shape [height, width, channels]; the input has the shape ${shownShape(shape)}.`);
}

/** Families in which a step of a sequence sees none that comes after it. */
const CAUSAL: ReadonlySet<string> = new Set(['rnn', 'lstm', 'gru', 'transformer-decoder']);

/** One row of numbers for each example, or for each token. */
function flattened(input: InputSpec, embedding: number, everyStep: boolean): LayerConfig[] {
  if (isTokens(input)) return everyStep ? [embedded(input, embedding, false)] : bagOfTokens(input, embedding);
  return input.shape.length > 1 ? [layer('Flatten')] : [];
}

/** The layers of a family up to the last one, which gives what is predicted. */
function bodyOf(architecture: Family, input: InputSpec, target: TargetSpec): LayerConfig[] {
  const isContinued = target.kind === 'token';
  const everyStep = isContinued || target.kind === 'tags';
  const { kind } = architecture;
  if (isContinued && !CAUSAL.has(kind))
    throw invalid(`${kind} cannot continue texts; ${[...CAUSAL].join(', ')} can, for there each step sees those before it alone.`);
  switch (architecture.kind) {
    case 'linear':
      return flattened(input, architecture.embedding, everyStep);
    case 'mlp':
      return [
        ...flattened(input, architecture.embedding, everyStep),
        ...hidden(architecture.hidden, architecture.activation, architecture.dropout),
      ];
    case 'lenet5': {
      const [height, width] = imageShape(input, 'lenet5') as [number, number];
      // 28×28 is padded by 2 to 32×32, for which LeNet was made.
      const padding = Math.min(height, width) < 32 ? 'same' : 'valid';
      const convolution = (filters: number, pad: string): LayerConfig[] => [
        layer('Conv2D', { filters, kernel_size: [5, 5], padding: pad, activation: 'relu' }),
        layer('MaxPooling2D', { pool_size: [2, 2] }),
      ];
      return [...convolution(6, padding), ...convolution(16, 'valid'), layer('Flatten'), dense(120, 'relu'), dense(84, 'relu')];
    }
    case 'cnn': {
      imageShape(input, 'cnn');
      const { filters, kernelSize, batchNormalization, activation, dropout } = architecture;
      return [
        ...filters.flatMap((count) => [
          layer('Conv2D', {
            filters: count,
            kernel_size: [kernelSize, kernelSize],
            padding: 'same',
            activation: batchNormalization ? 'linear' : activation,
          }),
          ...(batchNormalization ? [layer('BatchNormalization'), layer('Activation', { activation })] : []),
          layer('MaxPooling2D', { pool_size: [2, 2] }),
        ]),
        layer('Flatten'),
        ...hidden(architecture.hidden, activation, dropout),
      ];
    }
    case 'rnn':
    case 'lstm':
    case 'gru':
      return recurrentLayers(architecture, input, everyStep);
    case 'transformer-encoder':
    case 'transformer-decoder':
      return transformerLayers(architecture, input, everyStep, !isContinued);
  }
}

/** The softmax that classes and tokens need at the end; undefined for numbers. */
function softmaxOf(target: TargetSpec): { readonly units: number; readonly name: string; readonly why: string } | undefined {
  if (target.kind === 'class') {
    const { column, labels } = target;
    return { units: labels.length, name: 'probabilities', why: `"${column}" has ${labels.length} classes` };
  }
  if (target.kind === 'tags') {
    const { column, labels } = target;
    return { units: labels.length, name: 'label_probabilities', why: `"${column}" has ${labels.length} labels` };
  }
  if (target.kind !== 'token') return undefined;
  return { units: target.vocabularySize, name: 'token_probabilities', why: `the vocabulary has ${target.vocabularySize} tokens` };
}

const RECURRENT_KINDS = new Set(['SimpleRNN', 'LSTM', 'GRU', 'ConvLSTM2D']);

/** Layers that were given must give what the target asks for. */
function checkGiven(layers: readonly LayerConfig[], target: TargetSpec): void {
  for (const [index, { class_name: kind, config }] of layers.entries()) {
    for (const name of RECURRENT_KINDS.has(kind) ? ['dropout', 'recurrent_dropout'] : []) {
      if (typeof config[name] === 'number' && config[name] > 0)
        throw invalid(
          `Layer ${index + 1}, ${kind}: ${name} inside a recurrent layer cannot be repeated from a seed; put a Dropout layer behind it.`,
        );
    }
    for (const [name, value] of Object.entries(config)) {
      if (name.endsWith('_constraint') && value !== null)
        throw invalid(`Layer ${index + 1}, ${kind}: ${name} is not kept in training; leave it out, or take a regularizer.`);
    }
    if (config['stateful'] === true)
      throw invalid(`Layer ${index + 1}, ${kind}: stateful layers are not trained, since batches are shuffled.`);
  }
  const last = layers.at(-1)!;
  const { units, activation } = last.config;
  const softmax = softmaxOf(target);
  if (softmax === undefined) return;
  if (activation !== 'softmax' || !['Dense', 'Activation'].includes(last.class_name))
    throw invalid(
      `The last layer, ${last.class_name}, must be a Dense or Activation layer with the activation softmax, since ${softmax.why}.`,
    );
  // NaN is a size that is not known yet.
  if (typeof units === 'number' && Math.abs(units - softmax.units) > 0)
    throw invalid(`The last layer has ${units} units, but ${softmax.why}.`);
}

/** What an embedding says of the tokens, filled in from the text. */
function withVocabulary({ class_name: kind, config }: LayerConfig, { vocabularySize, shape }: InputSpec): LayerConfig {
  const rows = kind === 'Embedding' ? 'input_dim' : 'vocabulary_size';
  if (vocabularySize === undefined || !EMBEDDINGS.has(kind)) return { class_name: kind, config };
  const given = config[rows];
  if (typeof given === 'number' && given < vocabularySize)
    throw invalid(`${kind} has ${given} rows ("${rows}"), but the vocabulary has ${vocabularySize} tokens.`);
  return layer(kind, { [rows]: vocabularySize, ...(kind !== 'Embedding' && { sequence_length: shape[0]! }), ...config });
}

/**
 * The layers of an architecture for an input and a target, the input first, with names and seeds: complete, so that
 * any engine makes the same of them.
 * @throws SlipwayError INVALID_ARCHITECTURE
 */
export function layersOf(architecture: Architecture, input: InputSpec, target: TargetSpec, seed: number): LayerConfig[] {
  const softmax = softmaxOf(target);
  let layers: LayerConfig[];
  if (architecture.kind === 'layers') {
    layers = architecture.layers.filter(({ class_name: kind }) => kind !== 'InputLayer');
    const [first] = layers;
    if (first === undefined) throw invalid('There is no layer beside the input.');
    layers = [withVocabulary(first, input), ...layers.slice(1)];
    checkGiven(layers, target);
  } else {
    const last = softmax === undefined ? dense(target.kind === 'number' ? target.width : 1, 'linear') : dense(softmax.units, 'softmax');
    layers = [...bodyOf(architecture, input, target), last];
  }
  const names = new Set([input.name]);
  const named = layers.map(({ class_name: kind, config }, index) => {
    const isLast = index === layers.length - 1;
    const byDefault = isLast ? (softmax?.name ?? 'value') : `${kind.toLowerCase()}_${index + 1}`;
    const name = typeof config['name'] === 'string' ? config['name'] : byDefault;
    if (names.has(name)) throw invalid(`Two layers have the name "${name}".`);
    names.add(name);
    const { batch_input_shape: _shape, ...rest } = config;
    return layer(kind, { ...withSeeds(kind, rest, seed, index), name });
  });
  // The input has the name by which preprocessing and clients know it.
  const dtype = input.dtype === 'INT32' ? 'int32' : 'float32';
  return [layer('InputLayer', { batch_input_shape: [null, ...input.shape], dtype, sparse: false, name: input.name }), ...named];
}
