import type { InputSpec, TargetSpec } from '../../../datasets/dataset.ts';
import type { LayerConfig } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { Architecture } from './schema.ts';
import { withSeeds } from './seeds.ts';

function invalid(message: string): SlipwayError {
  return new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'architecture', message }] });
}

const layer = (class_name: string, config: LayerConfig['config'] = {}): LayerConfig => ({ class_name, config });
const dense = (units: number, activation: string): LayerConfig => layer('Dense', { units, activation });

function hidden(sizes: readonly number[], activation: string, dropout: number): LayerConfig[] {
  return sizes.flatMap((units) => [dense(units, activation), ...(dropout > 0 ? [layer('Dropout', { rate: dropout })] : [])]);
}

function imageShape({ shape }: InputSpec, kind: string): readonly number[] {
  if (shape.length === 3) return shape;
  throw invalid(`${kind} is for images of the shape [height, width, channels]; the input has the shape [${shape.join(', ')}].`);
}

/** Sequences are [steps, features]; a row of numbers is a sequence of single ones, and a grey image one of its rows. */
function asSequence({ shape }: InputSpec, kind: string): LayerConfig[] {
  if (shape.length === 2) return [];
  if (shape.length === 1) return [layer('Reshape', { target_shape: [shape[0]!, 1] })];
  if (shape.length === 3) return [layer('Reshape', { target_shape: [shape[0]!, shape[1]! * shape[2]!] })];
  throw invalid(`${kind} is for sequences of the shape [steps, features]; the input has the shape [${shape.join(', ')}].`);
}

const RECURRENT = { rnn: 'SimpleRNN', lstm: 'LSTM', gru: 'GRU' } as const;

/** The layers of a family up to the last one, which gives what is predicted. */
function bodyOf(architecture: Exclude<Architecture, { kind: 'layers' }>, input: InputSpec): LayerConfig[] {
  const flat = input.shape.length > 1 ? [layer('Flatten')] : [];
  switch (architecture.kind) {
    case 'linear':
      return flat;
    case 'mlp':
      return [...flat, ...hidden(architecture.hidden, architecture.activation, architecture.dropout)];
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
    case 'gru': {
      const { kind, units, layers, dropout } = architecture;
      return [
        ...asSequence(input, kind),
        ...Array.from({ length: layers }, (_each, index) => [
          layer(RECURRENT[kind], {
            units,
            activation: 'tanh',
            return_sequences: index < layers - 1,
            ...(kind !== 'rnn' && { recurrent_activation: 'sigmoid' }),
            ...(kind === 'gru' && { reset_after: false }),
          }),
          ...(dropout > 0 ? [layer('Dropout', { rate: dropout })] : []),
        ]).flat(),
      ];
    }
  }
}

/** Layers that were given must give what the target asks for. */
function checkGiven(layers: readonly LayerConfig[], target: TargetSpec): void {
  for (const [index, { class_name: kind, config }] of layers.entries()) {
    for (const name of ['dropout', 'recurrent_dropout']) {
      if (typeof config[name] === 'number' && config[name] > 0)
        throw invalid(
          `Layer ${index + 1}, ${kind}: ${name} inside a recurrent layer cannot be repeated from a seed; put a Dropout layer behind it.`,
        );
    }
    if (config['stateful'] === true)
      throw invalid(`Layer ${index + 1}, ${kind}: stateful layers are not trained, since batches are shuffled.`);
  }
  const last = layers.at(-1)!;
  const { units, activation } = last.config;
  if (target.kind !== 'class') return;
  if (activation !== 'softmax' || !['Dense', 'Activation'].includes(last.class_name))
    throw invalid(
      `The last layer, ${last.class_name}, must be a Dense or Activation layer with the activation softmax, since "${target.column}" has classes.`,
    );
  if (typeof units === 'number' && units !== target.labels.length)
    throw invalid(`The last layer has ${units} units, but "${target.column}" has ${target.labels.length} classes.`);
}

/**
 * The layers of an architecture for an input and a target, the input first, with names and seeds: complete, so that
 * any engine makes the same of them.
 * @throws SlipwayError INVALID_ARCHITECTURE
 */
export function layersOf(architecture: Architecture, input: InputSpec, target: TargetSpec, seed: number): LayerConfig[] {
  let layers: LayerConfig[];
  if (architecture.kind === 'layers') {
    layers = architecture.layers.filter(({ class_name: kind }) => kind !== 'InputLayer');
    if (layers.length === 0) throw invalid('There is no layer beside the input.');
    checkGiven(layers, target);
  } else {
    const last =
      target.kind === 'class' ? dense(target.labels.length, 'softmax') : dense(target.kind === 'number' ? target.width : 1, 'linear');
    layers = [...bodyOf(architecture, input), last];
  }
  const names = new Set([input.name]);
  const named = layers.map(({ class_name: kind, config }, index) => {
    const isLast = index === layers.length - 1;
    const byDefault = isLast ? (target.kind === 'class' ? 'probabilities' : 'value') : `${kind.toLowerCase()}_${index + 1}`;
    const name = typeof config['name'] === 'string' ? config['name'] : byDefault;
    if (names.has(name)) throw invalid(`Two layers have the name "${name}".`);
    names.add(name);
    const { batch_input_shape: _shape, ...rest } = config;
    return layer(kind, { ...withSeeds(kind, rest, seed, index), name });
  });
  // The input has the name by which preprocessing and clients know it.
  const first = layer('InputLayer', { batch_input_shape: [null, ...input.shape], dtype: 'float32', sparse: false, name: input.name });
  return [first, ...named];
}
