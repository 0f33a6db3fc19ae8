import type { Features, LayerContext } from './channels.ts';

/**
 * What a layer does with channels: which it makes, what it takes, what comes out. Nothing for what is not followed further;
 * the rule has pinned what it takes then.
 */
type LayerRule = (context: LayerContext) => Features | undefined;

/** Units in each of several blocks, as the gates of a recurrent layer lie. */
function inBlocks(channels: readonly number[], size: number): number[] {
  return Array.from({ length: size }, (_place, index) => channels[index % channels.length]!);
}

function axisOf({ layer: { config } }: LayerContext): Features['axis'] {
  return config.fields['data_format'] === 'channels_first' ? 'first' : 'last';
}

/** Takes features along an axis of a weight. */
function take(context: LayerContext, features: Features, weight: string, axis: number): void {
  const size = context.shapeOf(weight)?.[axis];
  if (size === undefined) return context.pin(features);
  const channels = context.along(features, size);
  if (channels !== undefined) context.slice(weight, axis, channels, 'takes');
}

/** A softmax over channels is another one without some of them. */
function pinUnderSoftmax(context: LayerContext, features: Features): Features {
  if (JSON.stringify(context.layer.config.fields['activation'] ?? '').includes('softmax')) context.pin(features);
  return features;
}

/** @param space axes that the kernel moves along */
const convolution =
  (space: number): LayerRule =>
  (context) => {
    const { inputs, layer, shapeOf } = context;
    const [input] = inputs as [Features];
    const shape = shapeOf('kernel');
    if (shape?.length !== space + 2 || layer.config.number('groups', 1) !== 1 || input.isFlat)
      return inputs.forEach(context.pin) as undefined;
    take(context, input, 'kernel', space);
    const channels = context.space('filters', shape[space + 1]!);
    context.slice('kernel', space + 1, channels, 'makes');
    context.slice('bias', 0, channels, 'follows');
    return pinUnderSoftmax(context, { channels, rank: space + 2, axis: axisOf(context), isFlat: false });
  };

/** Each channel has filters of its own. */
const depthwise =
  (space: number): LayerRule =>
  (context) => {
    const [input] = context.inputs as [Features];
    const shape = context.shapeOf('depthwise_kernel');
    if (shape === undefined || input.isFlat) return context.pin(input) as undefined;
    const taken = context.along(input, shape[space]!);
    if (taken === undefined) return undefined;
    context.slice('depthwise_kernel', space, taken, 'follows');
    const multiplier = shape[space + 1]!;
    const channels = taken.flatMap((channel) => Array<number>(multiplier).fill(channel));
    context.slice('bias', 0, channels, 'follows');
    return { channels, rank: space + 2, axis: axisOf(context), isFlat: false };
  };

const separable =
  (space: number): LayerRule =>
  (context) => {
    const [input] = context.inputs as [Features];
    const shape = context.shapeOf('depthwise_kernel');
    const pointwise = context.shapeOf('pointwise_kernel');
    if (shape === undefined || pointwise === undefined || input.isFlat) return context.pin(input) as undefined;
    const taken = context.along(input, shape[space]!);
    if (taken !== undefined) {
      context.slice('depthwise_kernel', space, taken, 'follows');
      context.slice(
        'pointwise_kernel',
        space,
        taken.flatMap((channel) => Array<number>(shape[space + 1]!).fill(channel)),
        'takes',
      );
    }
    const channels = context.space('filters', pointwise[space + 1]!);
    context.slice('pointwise_kernel', space + 1, channels, 'makes');
    context.slice('bias', 0, channels, 'follows');
    return pinUnderSoftmax(context, { channels, rank: space + 2, axis: axisOf(context), isFlat: false });
  };

const dense: LayerRule = (context) => {
  const [input] = context.inputs as [Features];
  const shape = context.shapeOf('kernel');
  if (shape?.length !== 2 || (input.axis === 'first' && !input.isFlat && input.rank !== 2)) return context.pin(input) as undefined;
  take(context, input, 'kernel', 0);
  const channels = context.space('units', shape[1]!);
  context.slice('kernel', 1, channels, 'makes');
  context.slice('bias', 0, channels, 'follows');
  return pinUnderSoftmax(context, { channels, rank: input.isFlat ? 2 : input.rank, axis: 'last', isFlat: false });
};

const embedding: LayerRule = (context) => {
  context.inputs.forEach(context.pin);
  const channels = context.space('output_dim', context.shapeOf('embeddings')![1]!);
  context.slice('embeddings', 1, channels, 'makes');
  return { channels, rank: 3, axis: 'last', isFlat: false };
};

/** The gates of a recurrent layer lie side by side; a neuron is in each of them, and in what the next step takes. */
const recurrent: LayerRule = (context) => {
  const { inputs, shapeOf, layer } = context;
  const units = shapeOf('recurrent_kernel')?.[0];
  if (inputs.length !== 1 || units === undefined) return inputs.forEach(context.pin) as undefined;
  take(context, inputs[0]!, 'kernel', 0);
  const channels = context.space('units', units);
  const columns = shapeOf('recurrent_kernel')![1]!;
  context.slice('kernel', 1, inBlocks(channels, columns), 'makes');
  context.slice('recurrent_kernel', 1, inBlocks(channels, columns), 'follows');
  context.slice('recurrent_kernel', 0, channels, 'takes');
  // A GRU that resets after its product has a second row.
  const rank = shapeOf('bias')?.length;
  if (rank !== undefined) context.slice('bias', rank - 1, inBlocks(channels, columns), 'follows');
  return { channels, rank: layer.config.boolean('return_sequences', false) ? 3 : 2, axis: 'last', isFlat: false };
};

const batchNormalization: LayerRule = (context) => {
  const [input] = context.inputs as [Features];
  const axis = context.layer.config.list('axis')?.[0] ?? -1;
  const { rank } = input;
  const isOnChannels = input.isFlat || (input.axis === 'first' ? axis === 1 : axis === -1 || (rank !== undefined && axis === rank - 1));
  const size = context.shapeOf('moving_variance')?.[0];
  const channels = isOnChannels && size !== undefined ? context.along(input, size) : undefined;
  if (channels === undefined) return context.pin(input) as undefined;
  context.slice('gamma', 0, channels, 'scales');
  for (const name of ['beta', 'moving_mean', 'moving_variance']) context.slice(name, 0, channels, 'follows');
  return input;
};

const passing: LayerRule = (context) => pinUnderSoftmax(context, context.inputs[0]!);

/** One that is told that channels come first puts them last before it lays the grid out flat. */
const flatten: LayerRule = (context) => {
  const [input] = context.inputs as [Features];
  return { ...input, rank: 2, isFlat: true, axis: axisOf(context) === 'first' ? 'last' : input.axis };
};

const globalPooling: LayerRule = ({ inputs, layer: { config } }) => {
  const [input] = inputs as [Features];
  return config.boolean('keepdims', false) ? input : { ...input, rank: 2, axis: 'last' };
};

function areAlike(inputs: readonly Features[]): boolean {
  const [first] = inputs as [Features];
  return inputs.every(
    ({ channels, axis, isFlat, rank }) =>
      channels !== undefined &&
      channels.length === first.channels?.length &&
      axis === first.axis &&
      isFlat === first.isFlat &&
      rank === first.rank,
  );
}

/** Element by element: the channels of one place go together. */
const elementwise: LayerRule = (context) => {
  const { inputs } = context;
  if (!areAlike(inputs)) return inputs.forEach(context.pin) as undefined;
  for (const { channels } of inputs.slice(1)) context.join(inputs[0]!.channels!, channels!);
  return inputs[0];
};

const concatenate: LayerRule = (context) => {
  const { inputs, layer } = context;
  const [{ rank, axis }] = inputs as [Features];
  const given = layer.config.number('axis', -1);
  const along = given < 0 && rank !== undefined ? given + rank : given;
  const isOfChannels = rank !== undefined && along === (axis === 'first' ? 1 : rank - 1);
  const isFollowed = inputs.every((each) => each.channels !== undefined && !each.isFlat && each.axis === axis && each.rank === rank);
  if (!isFollowed) return inputs.forEach(context.pin) as undefined;
  if (!isOfChannels) return elementwise(context);
  return { channels: inputs.flatMap(({ channels }) => channels!), rank, axis, isFlat: false };
};

/** Heads are in the kernels of query, key and value, and in what joins them; what goes in and comes out stays. */
const multiHeadAttention: LayerRule = (context) => {
  context.inputs.forEach(context.pin);
  const heads = context.shapeOf('query/kernel')?.[1];
  if (heads === undefined) return undefined;
  const channels = context.space('num_heads', heads);
  for (const name of ['query', 'key', 'value']) {
    context.slice(`${name}/kernel`, 1, channels, name === 'value' ? 'makes' : 'follows');
    context.slice(`${name}/bias`, 0, channels, 'follows');
  }
  context.slice('attention_output/kernel', 0, channels, 'takes');
  return undefined;
};

/** Of a block of a transformer the neurons between its two dense layers can go. */
const transformerBlock: LayerRule = (context) => {
  context.inputs.forEach(context.pin);
  const size = context.shapeOf('feedforward_intermediate_dense/kernel')?.[1];
  if (size === undefined) return undefined;
  const channels = context.space('intermediate_dim', size);
  context.slice('feedforward_intermediate_dense/kernel', 1, channels, 'makes');
  context.slice('feedforward_intermediate_dense/bias', 0, channels, 'follows');
  context.slice('feedforward_output_dense/kernel', 0, channels, 'takes');
  return undefined;
};

function all(names: readonly string[], rule: LayerRule): Readonly<Record<string, LayerRule>> {
  return Object.fromEntries(names.map((name) => [name, rule]));
}

/** By the class of the layer. Those that are missing are not followed: what they take stays. */
export const LAYER_CHANNELS: Readonly<Record<string, LayerRule>> = {
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  DepthwiseConv2D: depthwise(2),
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
  Dense: dense,
  Embedding: embedding,
  SimpleRNN: recurrent,
  LSTM: recurrent,
  GRU: recurrent,
  BatchNormalization: batchNormalization,
  ...all(['Activation', 'ReLU', 'LeakyReLU', 'ELU', 'ThresholdedReLU', 'Rescaling'], passing),
  ...all(['Dropout', 'SpatialDropout1D', 'SpatialDropout2D', 'GaussianNoise', 'GaussianDropout', 'AlphaDropout'], passing),
  ...all(['MaxPooling1D', 'MaxPooling2D', 'AveragePooling1D', 'AveragePooling2D'], passing),
  ...all(['ZeroPadding1D', 'ZeroPadding2D', 'Cropping1D', 'Cropping2D', 'UpSampling1D', 'UpSampling2D'], passing),
  ...all(['GlobalAveragePooling1D', 'GlobalAveragePooling2D', 'GlobalMaxPooling1D', 'GlobalMaxPooling2D'], globalPooling),
  Flatten: flatten,
  ...all(['Add', 'Subtract', 'Multiply', 'Average', 'Maximum', 'Minimum'], elementwise),
  Concatenate: concatenate,
  MultiHeadAttention: multiHeadAttention,
  TransformerEncoder: transformerBlock,
  TransformerDecoder: transformerBlock,
};
