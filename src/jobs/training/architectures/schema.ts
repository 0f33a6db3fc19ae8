import { z } from 'zod';
import { nameSchema, versionSchema } from '../../../packages/manifest.ts';

const units = z.int().min(1).max(100_000);
const dropout = z.number().min(0).lt(1).default(0).describe('Share of values that training leaves out behind each hidden layer.');
const activation = z.enum(['relu', 'tanh', 'sigmoid', 'elu', 'selu', 'linear']).default('relu');

/**
 * Keras layers that may be given. All of them compute the same at each run once they are given their seeds; layers that
 * carry code (Lambda) or draw what cannot be repeated are not among them.
 */
export const LAYER_KINDS = [
  'InputLayer',
  'Dense',
  'Activation',
  'Dropout',
  'SpatialDropout1D',
  'GaussianDropout',
  'GaussianNoise',
  'AlphaDropout',
  'Flatten',
  'Reshape',
  'Permute',
  'RepeatVector',
  'Masking',
  'Embedding',
  'Conv1D',
  'Conv2D',
  'Conv2DTranspose',
  'DepthwiseConv2D',
  'SeparableConv2D',
  'Cropping2D',
  'UpSampling2D',
  'ZeroPadding2D',
  'MaxPooling1D',
  'MaxPooling2D',
  'AveragePooling1D',
  'AveragePooling2D',
  'GlobalAveragePooling1D',
  'GlobalAveragePooling2D',
  'GlobalMaxPooling1D',
  'GlobalMaxPooling2D',
  'BatchNormalization',
  'LayerNormalization',
  'ReLU',
  'LeakyReLU',
  'PReLU',
  'ELU',
  'ThresholdedReLU',
  'SimpleRNN',
  'LSTM',
  'GRU',
  'ConvLSTM2D',
  'Rescaling',
  'MultiHeadAttention',
  'SequencePooling',
  'TokenAndPositionEmbedding',
  'TransformerDecoder',
  'TransformerEncoder',
] as const;

const layerSchema = z.strictObject({
  class_name: z.enum(LAYER_KINDS),
  config: z.record(z.string(), z.json()).default({}),
});

const embedding = units.default(64).describe('Of texts: how many numbers stand for a token.');

const recurrent = {
  units: units.default(64),
  layers: z.int().min(1).max(16).default(1),
  embedding,
  dropout,
};

function transformer<Kind extends string>(kind: Kind, what: string) {
  return z
    .strictObject({
      kind: z.literal(kind),
      width: units.default(64).describe('How many numbers stand for a token; a multiple of `heads`.'),
      heads: z.int().min(1).max(256).default(4),
      layers: z.int().min(1).max(64).default(2),
      feedforward: units.optional().describe('Units between the two dense layers of a block; four times the width when left out.'),
      dropout,
    })
    .refine(({ width, heads }) => width % heads === 0, 'width must be a multiple of heads')
    .describe(what);
}

/** A named family with its parameters, layers as Keras writes them, or a version that is to be trained further. */
export const architectureSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('linear'), embedding }).describe('One dense layer; of texts on the mean of their tokens.'),
  z
    .strictObject({ kind: z.literal('mlp'), hidden: z.array(units).min(1).max(64).default([64, 32]), embedding, activation, dropout })
    .describe('Dense layers; of texts on the mean of their tokens.'),
  z
    .strictObject({ kind: z.literal('lenet5') })
    .describe('LeNet-5 with ReLU and max pooling, for images: conv 6 k5, pool 2, conv 16 k5, pool 2, dense 120 and 84.'),
  z
    .strictObject({
      kind: z.literal('cnn'),
      filters: z.array(units).min(1).max(32).default([32, 64]),
      kernelSize: z.int().min(1).max(31).default(3),
      hidden: z.array(units).max(16).default([128]),
      batchNormalization: z.boolean().default(false),
      activation,
      dropout,
    })
    .describe('For images: each block is a convolution and a pooling by 2; then dense layers.'),
  z.strictObject({ kind: z.literal('rnn'), ...recurrent }).describe('Simple recurrent layers, for sequences and texts.'),
  z.strictObject({ kind: z.literal('lstm'), ...recurrent }).describe('LSTM layers, for sequences and texts.'),
  z.strictObject({ kind: z.literal('gru'), ...recurrent }).describe('GRU layers, for sequences and texts.'),
  transformer('transformer-encoder', 'Transformer blocks that see the whole text (A. Vaswani et al., 2017), and the mean of their steps.'),
  transformer('transformer-decoder', 'Transformer blocks in which each token sees those before it alone, for the task next-token.'),
  z
    .strictObject({ kind: z.literal('layers'), layers: z.array(layerSchema).min(1).max(1_000) })
    .describe(
      'Layers of a Keras Sequential model. The size of the input and the seeds are filled in; for classes the last activation is softmax.',
    ),
  z
    .strictObject({
      kind: z.literal('version'),
      model: nameSchema.describe('Name of a model here.'),
      version: versionSchema
        .optional()
        .describe(
          'The latest one when left out; with an Idempotency-Key it should be said, for a later one may be there when the request is sent again.',
        ),
      frozen: z
        .union([z.literal('all-but-last'), z.array(z.string().min(1)).max(1_000)], 'must be "all-but-last" or names of layers')
        .default([])
        .describe('Layers whose weights stay as they are.'),
    })
    .describe(
      'Fine-tuning: the layers and weights of a version. It reads its input as it did; the last layer is a new one when the classes are others.',
    ),
]);

type Given = z.infer<typeof architectureSchema>;

/** Layers that begin with weights of their own. */
export type Architecture = Exclude<Given, { kind: 'version' }>;
/** Those of a version, with its weights. */
export type VersionArchitecture = Extract<Given, { kind: 'version' }>;

/** An architecture by its name. */
export type Family = Exclude<Architecture, { kind: 'layers' }>;
