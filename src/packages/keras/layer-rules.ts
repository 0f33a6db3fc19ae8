import { type Fields, unsupported } from './keras-object.ts';

/** What a layer of Keras 3 is in TF.js. */
export interface LayerRule {
  /**
   * Names of its weights as TF.js has them, in the order in which Keras saves them; each may be preceded by the part of the
   * layer that it lies in, as Keras names it in the file of weights.
   */
  readonly weights?: (config: Fields) => readonly LayerWeight[];
  /** Its class and config in TF.js, where these differ. @param where the layer, for messages */
  readonly convert?: (config: Record<string, unknown>, where: string) => { readonly className: string; readonly config: Fields };
  /** Fields that must have one of these values, for TF.js does not heed them. */
  readonly must?: Readonly<Record<string, readonly unknown[]>>;
}

export interface LayerWeight {
  /** In TF.js, under the name of the layer. */
  readonly name: string;
  /** In Keras' file of weights, under the folder of the layer, e.g. `vars/0`. */
  readonly path: string;
}

function inOrder(names: readonly string[], part = ''): LayerWeight[] {
  return names.map((name, index) => ({ name, path: `${part}vars/${index}` }));
}

/** @param always names of the weights that it has whatever its config says */
function withBias(...always: string[]): NonNullable<LayerRule['weights']> {
  return ({ use_bias: useBias }) => inOrder(useBias === false ? always : [...always, 'bias']);
}

export function cellWeights(config: Fields, part: string, prefix = ''): LayerWeight[] {
  const names = ['kernel', 'recurrent_kernel', ...(config['use_bias'] === false ? [] : ['bias'])];
  return inOrder(names, part).map(({ name, path }) => ({ name: `${prefix}${name}`, path }));
}

function normalized(config: Fields, ...statistics: string[]): LayerWeight[] {
  return inOrder([...(config['scale'] === false ? [] : ['gamma']), ...(config['center'] === false ? [] : ['beta']), ...statistics]);
}

/** Keras' names of the parts of an attention, and TF.js' of the same. */
const ATTENTION = { query_dense: 'query', key_dense: 'key', value_dense: 'value', output_dense: 'attention_output' } as const;

function attentionWeights({ use_bias: useBias }: Fields): LayerWeight[] {
  const names = useBias === false ? ['kernel'] : ['kernel', 'bias'];
  return Object.entries(ATTENTION).flatMap(([part, own]) =>
    inOrder(names, `${part}/`).map(({ name, path }) => ({ name: `${own}/${name}`, path })),
  );
}

const PLAIN: LayerRule = {};
const CONVOLUTION: LayerRule = { weights: withBias('kernel') };
const DEPTHWISE: LayerRule = { weights: withBias('depthwise_kernel') };
const SEPARABLE: LayerRule = { weights: withBias('depthwise_kernel', 'pointwise_kernel') };
const TRANSPOSED: LayerRule = { ...CONVOLUTION, must: { output_padding: [null, undefined] } };
const RECURRENT: LayerRule = { weights: (config) => cellWeights(config, 'cell/') };
const GLOBAL: LayerRule = { must: { keepdims: [false, undefined] } };
const UP_SAMPLING: LayerRule = { must: { interpolation: ['nearest', undefined] } };

const RELU: LayerRule = {
  must: { threshold: [0, null, undefined] },
  convert({ negative_slope: slope, threshold: _threshold, ...config }, where) {
    if (slope === 0 || slope === null || slope === undefined) return { className: 'ReLU', config };
    if (config['max_value'] !== null) throw unsupported(`${where} has both a max_value and a negative_slope; TF.js has one or the other`);
    return { className: 'LeakyReLU', config: { name: config['name'], trainable: config['trainable'], alpha: slope } };
  },
};

const LEAKY_RELU: LayerRule = {
  convert: ({ negative_slope: slope, ...config }) => ({ className: 'LeakyReLU', config: { ...config, alpha: slope } }),
};

const IDENTITY: LayerRule = {
  convert: ({ name, trainable }) => ({ className: 'Activation', config: { name, trainable, activation: 'linear' } }),
};

function ofDimensions(name: (dimensions: string) => string, rule: LayerRule, dimensions = ['1D', '2D', '3D']): Record<string, LayerRule> {
  return Object.fromEntries(dimensions.map((each) => [name(each), rule]));
}

/** The layers that can be read, by their classes in Keras. */
export const LAYER_RULES: Readonly<Record<string, LayerRule>> = {
  Dense: CONVOLUTION,
  ...ofDimensions((size) => `Conv${size}`, CONVOLUTION),
  ...ofDimensions((size) => `Conv${size}Transpose`, TRANSPOSED),
  ...ofDimensions((size) => `DepthwiseConv${size}`, DEPTHWISE, ['1D', '2D']),
  ...ofDimensions((size) => `SeparableConv${size}`, SEPARABLE, ['1D', '2D']),
  Embedding: { weights: () => inOrder(['embeddings']) },
  BatchNormalization: { weights: (config) => normalized(config, 'moving_mean', 'moving_variance') },
  LayerNormalization: { weights: (config) => normalized(config), must: { rms_scaling: [false, undefined] } },
  MultiHeadAttention: { weights: attentionWeights, must: { use_gate: [false, undefined], sliding_window: [null, undefined] } },
  SimpleRNN: RECURRENT,
  LSTM: RECURRENT,
  GRU: RECURRENT,
  ConvLSTM2D: RECURRENT,
  PReLU: { weights: () => inOrder(['alpha']) },
  ReLU: RELU,
  LeakyReLU: LEAKY_RELU,
  ELU: PLAIN,
  Softmax: PLAIN,
  Activation: PLAIN,
  Identity: IDENTITY,
  Dropout: PLAIN,
  ...ofDimensions((size) => `SpatialDropout${size}`, PLAIN),
  GaussianNoise: PLAIN,
  GaussianDropout: PLAIN,
  AlphaDropout: PLAIN,
  ActivityRegularization: PLAIN,
  Flatten: PLAIN,
  Reshape: PLAIN,
  Permute: PLAIN,
  RepeatVector: PLAIN,
  Masking: PLAIN,
  Rescaling: PLAIN,
  ...Object.fromEntries(
    ['Add', 'Subtract', 'Multiply', 'Average', 'Maximum', 'Minimum', 'Concatenate', 'Dot'].map((name) => [name, PLAIN]),
  ),
  ...ofDimensions((size) => `MaxPooling${size}`, PLAIN),
  ...ofDimensions((size) => `AveragePooling${size}`, PLAIN),
  ...ofDimensions((size) => `GlobalMaxPooling${size}`, GLOBAL),
  ...ofDimensions((size) => `GlobalAveragePooling${size}`, GLOBAL),
  ...ofDimensions((size) => `ZeroPadding${size}`, PLAIN),
  ...ofDimensions((size) => `Cropping${size}`, PLAIN),
  ...ofDimensions((size) => `UpSampling${size}`, UP_SAMPLING),
};
