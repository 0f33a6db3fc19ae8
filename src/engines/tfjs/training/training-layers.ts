import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type DrawSource, drawSeed, fillDraw, fillPart, RANDOM_LAYERS } from '../../training/draws.ts';

/*
 * What layers do in training alone, put right where tfjs cannot be trained by it: its random layers draw the same numbers at
 * each step, or by chance, its frozen BatchNormalization moves its averages, and one without scale or offset fails.
 */

type Layer = LayersModel['layers'][number];

interface CallArguments {
  readonly training?: boolean;
}

interface RandomLayerFields {
  rate?: number;
  stddev?: number;
  noiseShape?: readonly (number | null)[] | null;
  /** Of Slipway's own layers: what they draw by. */
  draws?: DrawSource;
}

function drawn(input: tf.Tensor, layer: Layer & RandomLayerFields, rate: number, source: DrawSource): tf.Tensor {
  const { distribution, use, shared } = RANDOM_LAYERS[layer.getClassName()]!(rate, input.rank);
  const noise = layer.noiseShape ?? [];
  const shape = input.shape.map((size, axis) => (shared.includes(axis) || noise[axis] === 1 ? 1 : size));
  const numbers = new Float32Array(shape.reduce((product, size) => product * size, 1));
  // One number for all examples is the same in every part of the batch.
  if (shape[0] === 1 && input.shape[0] !== 1) fillDraw(numbers, distribution, source.seed, 0);
  else fillPart(numbers, distribution, source, 0);
  const draw = tf.tensor(numbers, shape);
  if (use.kind === 'add') return tf.add(input, draw);
  if (use.kind === 'multiply') return tf.mul(input, draw);
  const rest = tf.mul(tf.sub(1, draw), use.other);
  return tf.add(tf.mul(tf.add(tf.mul(input, draw), rest), use.scale), use.offset);
}

interface NormalizationFields {
  gamma?: { read(): tf.Tensor } | null;
  beta?: { read(): tf.Tensor } | null;
  movingMean?: { read(): tf.Tensor };
}

/** In training tfjs reads the scale and the offset that a normalization may be without. */
function fillIn(layer: Layer & NormalizationFields): void {
  const size = layer.movingMean!.read().shape;
  layer.gamma ??= { read: () => tf.ones(size) };
  layer.beta ??= { read: () => tf.zeros(size) };
}

/**
 * Makes the random layers of a model draw by a seed, and its frozen layers stay as they are.
 * @returns sets the step and the part of its batch that the next draws are for
 */
export function prepareForTraining(model: LayersModel, seed: number): (step: number, part: Omit<DrawSource, 'seed'>) => void {
  let now = { step: 0, first: 0, examples: 1 };
  const own: (Layer & RandomLayerFields)[] = [];
  for (const layer of model.layers as (Layer & RandomLayerFields & NormalizationFields)[]) {
    const name = layer.getClassName();
    const call = layer.call.bind(layer);
    if (name in RANDOM_LAYERS) {
      const rate = layer.stddev ?? layer.rate ?? 0;
      if (rate <= 0 || (rate >= 1 && layer.stddev === undefined)) continue;
      layer.call = (inputs, { training = false }: CallArguments) => {
        const input = Array.isArray(inputs) ? inputs[0]! : inputs;
        return training ? tf.tidy(() => drawn(input, layer, rate, { ...now, seed: drawSeed(seed, now.step, layer.name) })) : input;
      };
    } else if (name === 'BatchNormalization') {
      if (layer.trainable) fillIn(layer);
      else layer.call = (inputs, args) => call(inputs, { ...args, training: false });
    } else if ('rate' in layer) own.push(layer);
  }
  return (step, part) => {
    now = { step, ...part };
    for (const layer of own) layer.draws = { ...part, seed: drawSeed(seed, step, layer.name) };
  };
}

/** What the regularizers of the trained layers add to the loss. */
export function penaltiesOf(model: LayersModel): readonly tf.Tensor[] {
  return model.layers.filter((layer) => layer.trainable).flatMap(lossesOf);
}

interface OuterFields {
  readonly cell?: Layer;
  readonly cells?: readonly Layer[];
  readonly layer?: Layer;
  readonly forwardLayer?: Layer;
  readonly backwardLayer?: Layer;
}

/** Of a layer and the cells or layers in it, whose penalties tfjs leaves out. */
function lossesOf(outer: Layer): tf.Tensor[] {
  const { cell, cells = [], layer, forwardLayer, backwardLayer } = outer as Layer & OuterFields;
  const inner = [cell, ...cells, layer, forwardLayer, backwardLayer].filter((each) => each !== undefined);
  return [...outer.calculateLosses(), ...inner.flatMap(lossesOf)];
}
