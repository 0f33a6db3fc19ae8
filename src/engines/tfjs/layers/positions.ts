import * as tf from '@tensorflow/tfjs-core';
import { booleanOf, type LayerArguments, numberOf, type Weight, WeightedLayer } from './weighted-layer.ts';

type Shape = tf.Tensor['shape'];

function first(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? inputs[0]! : inputs;
}

/** The rows of a table of positions for the steps of x, [steps, features]. */
function rowsFor(table: Weight, steps: number): tf.Tensor {
  const [most, features] = table.read().shape as [number, number];
  if (steps > most) throw new Error(`the sequence has ${steps} steps; the layer has positions for ${most} (sequence_length)`);
  return tf.slice(table.read(), [0, 0], [steps, features]);
}

/** KerasHub's PositionEmbedding: a vector for each position, learned; it gives them, to be added to what they belong to. */
export class PositionEmbedding extends WeightedLayer {
  static readonly className = 'PositionEmbedding';
  readonly #length: number;
  #table: Weight | undefined;

  constructor(args: LayerArguments) {
    super(args, ['sequenceLength', 'initializer']);
    this.#length = numberOf(args, 'sequenceLength');
  }

  override build(inputShape: number[]): void {
    this.#table = this.kernel('embeddings', [this.#length, inputShape.at(-1)!], 'initializer');
    this.built = true;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const { shape } = first(inputs);
      return tf.broadcastTo(rowsFor(this.#table!, shape.at(-2)!), shape);
    });
  }
}

/** KerasHub's TokenAndPositionEmbedding: the sum of a vector for each token and one for each position. */
export class TokenAndPositionEmbedding extends WeightedLayer {
  static readonly className = 'TokenAndPositionEmbedding';
  readonly #args: LayerArguments;
  readonly #maskZero: boolean;
  #tokens: Weight | undefined;
  #positions: Weight | undefined;

  constructor(args: LayerArguments) {
    super(args, ['vocabularySize', 'sequenceLength', 'embeddingDim', 'maskZero', 'embeddingsInitializer']);
    this.#args = args;
    this.#maskZero = booleanOf(args, 'maskZero', false);
    this.supportsMasking = this.#maskZero;
  }

  override build(): void {
    const features = numberOf(this.#args, 'embeddingDim');
    const table = (name: string, rows: string): Weight =>
      this.kernel(`${name}/embeddings`, [numberOf(this.#args, rows), features], 'embeddingsInitializer');
    this.#tokens = table('token_embedding', 'vocabularySize');
    this.#positions = table('position_embedding', 'sequenceLength');
    this.built = true;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return [...inputShape, numberOf(this.#args, 'embeddingDim')];
  }

  override computeMask(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return (this.#maskZero ? tf.tidy(() => tf.notEqual(first(inputs), 0)) : null) as tf.Tensor;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const tokens = tf.cast(first(inputs), 'int32');
      return tf.add(tf.gather(this.#tokens!.read(), tokens), rowsFor(this.#positions!, tokens.shape.at(-1)!));
    });
  }
}

/** KerasHub's SinePositionEncoding: sines and cosines of wavelengths up to `max_wavelength`, to be added. */
export class SinePositionEncoding extends WeightedLayer {
  static readonly className = 'SinePositionEncoding';
  readonly #longest: number;

  constructor(args: LayerArguments) {
    super(args, ['maxWavelength']);
    this.#longest = numberOf(args, 'maxWavelength', 10_000);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const { shape } = first(inputs);
      const [steps, features] = shape.slice(-2) as [number, number];
      const values = Float32Array.from({ length: steps * features }, (_value, index) => {
        const feature = index % features;
        const angle = Math.floor(index / features) * this.#longest ** ((-2 * Math.floor(feature / 2)) / features);
        return feature % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
      });
      return tf.broadcastTo(tf.tensor(values, [steps, features]), shape);
    });
  }
}
