import { combineSeeds } from '../../../datasets/random.ts';
import type { LayerConfig } from '../../../engines/training/trainer.ts';

type Config = LayerConfig['config'];

/** What Keras takes when a layer does not say how its weights begin. */
const GLOROT = { class_name: 'GlorotUniform', config: {} };
const UNIFORM = { class_name: 'RandomUniform', config: { minval: -0.05, maxval: 0.05 } };
const DEFAULTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  Dense: { kernel_initializer: GLOROT },
  Conv1D: { kernel_initializer: GLOROT },
  Conv2D: { kernel_initializer: GLOROT },
  Conv2DTranspose: { kernel_initializer: GLOROT },
  DepthwiseConv2D: { depthwise_initializer: GLOROT },
  SeparableConv2D: { depthwise_initializer: GLOROT, pointwise_initializer: GLOROT },
  SimpleRNN: { kernel_initializer: GLOROT, recurrent_initializer: { class_name: 'Orthogonal', config: {} } },
  LSTM: { kernel_initializer: GLOROT, recurrent_initializer: { class_name: 'Orthogonal', config: {} } },
  GRU: { kernel_initializer: GLOROT, recurrent_initializer: { class_name: 'Orthogonal', config: {} } },
  // Keras makes the second one orthogonal, which tfjs can of matrices only.
  ConvLSTM2D: { kernel_initializer: GLOROT, recurrent_initializer: GLOROT },
  MultiHeadAttention: { kernel_initializer: GLOROT },
  TransformerEncoder: { kernel_initializer: GLOROT },
  TransformerDecoder: { kernel_initializer: GLOROT },
  TokenAndPositionEmbedding: { embeddings_initializer: UNIFORM },
  Embedding: { embeddings_initializer: UNIFORM },
};

/** Names by which Keras lets initializers be given as a text. */
const BY_TEXT: Readonly<Record<string, string>> = {
  glorot_uniform: 'GlorotUniform',
  glorot_normal: 'GlorotNormal',
  he_uniform: 'HeUniform',
  he_normal: 'HeNormal',
  lecun_uniform: 'LeCunUniform',
  lecun_normal: 'LeCunNormal',
  random_uniform: 'RandomUniform',
  random_normal: 'RandomNormal',
  truncated_normal: 'TruncatedNormal',
  orthogonal: 'Orthogonal',
};

const SEEDLESS = new Set(['Zeros', 'Ones', 'Constant', 'Identity']);

interface Initializer {
  readonly class_name: string;
  readonly config: Config;
}

function seeded(value: unknown, seed: number): unknown {
  const given = typeof value === 'string' ? { class_name: BY_TEXT[value], config: {} as Config } : (value as Partial<Initializer> | null);
  if (given?.class_name === undefined || SEEDLESS.has(given.class_name)) return value;
  return { class_name: given.class_name, config: { ...given.config, seed: given.config?.['seed'] ?? seed } };
}

/** The configuration of a layer with a seed for each initializer that draws, so that the same weights come out. */
export function withSeeds(kind: string, config: Config, seed: number, index: number): Config {
  const complete = { ...DEFAULTS[kind], ...config };
  return Object.fromEntries(
    Object.entries(complete).map(([key, value], place) =>
      // 24 bits: more would not come through a float32 unchanged.
      key.endsWith('_initializer') ? [key, seeded(value, combineSeeds(seed, index, place) >>> 8)] : [key, value],
    ),
  );
}
