import * as tf from '@tensorflow/tfjs-core';
import { type DrawSource, fillPart, RANDOM_LAYERS } from '../../training/draws.ts';
import { booleanOf, type LayerArguments, numberOf, type Weight, WeightedLayer } from './weighted-layer.ts';

export interface Projection {
  /** [features, heads, size], or [heads, size, features] on the way out. */
  readonly kernel: Weight;
  readonly bias: Weight | undefined;
}

export interface AttentionWeights {
  readonly query: Projection;
  readonly key: Projection;
  readonly value: Projection;
  readonly output: Projection;
}

export interface Attention {
  readonly query: tf.Tensor3D;
  readonly key: tf.Tensor3D;
  readonly value: tf.Tensor3D;
  /** [batch, steps of the value]; a step that is masked gets no attention. */
  readonly mask: tf.Tensor | undefined;
  /** Whether a step sees itself and those before it alone. */
  readonly causal: boolean;
  /** The scores after the softmax, in training. */
  drop(scores: tf.Tensor): tf.Tensor;
}

/** What Keras adds to the score of a step that must not be seen. */
const UNSEEN = -1e9;

/** [batch, steps, features] as [batch, heads, steps, size]. */
function heads(x: tf.Tensor3D, { kernel, bias }: Projection): tf.Tensor4D {
  const [batch, steps, features] = x.shape;
  const [, count, size] = kernel.read().shape as [number, number, number];
  const product = tf.matMul(tf.reshape(x, [batch * steps, features]), tf.reshape(kernel.read(), [features, count * size]));
  const sum = bias === undefined ? product : tf.add(product, tf.reshape(bias.read(), [count * size]));
  return tf.transpose(tf.reshape(sum, [batch, steps, count, size]), [0, 2, 1, 3]);
}

/** Scaled dot-product attention in several heads (A. Vaswani et al., Attention Is All You Need, 2017). */
export function attend({ query, key, value, mask, causal, drop }: Attention, weights: AttentionWeights): tf.Tensor3D {
  const [batch, steps] = query.shape;
  const seen = value.shape[1];
  const q = heads(query, weights.query);
  const [, count, , size] = q.shape;
  let scores: tf.Tensor = tf.matMul(tf.mul(q, 1 / Math.sqrt(size)), heads(key, weights.key), false, true);
  if (mask !== undefined) {
    const hidden = tf.sub(1, tf.cast(mask, 'float32'));
    scores = tf.add(scores, tf.mul(tf.reshape(hidden, [batch, 1, 1, seen]), UNSEEN));
  }
  if (causal) {
    const later = Float32Array.from({ length: steps * seen }, (_hidden, index) => (index % seen > Math.floor(index / seen) ? UNSEEN : 0));
    scores = tf.add(scores, tf.tensor(later, [1, 1, steps, seen]));
  }
  const seenValues = tf.matMul(drop(tf.softmax(scores)), heads(value, weights.value));
  const width = seenValues.shape[3]!;
  const joined = tf.reshape(tf.transpose(seenValues, [0, 2, 1, 3]), [batch * steps, count * width]);
  const kernel = weights.output.kernel.read();
  const features = kernel.shape[2]!;
  const product = tf.matMul(joined, tf.reshape(kernel, [count * width, features]));
  const sum = weights.output.bias === undefined ? product : tf.add(product, weights.output.bias.read());
  return tf.reshape(sum, [batch, steps, features]);
}

/**
 * Elements dropped at random and the others scaled, in training.
 * @param source what the layer draws by at this step; by chance when left out. @param draw which of the layer's draws it is
 */
export function dropped(x: tf.Tensor, rate: number, training: boolean, source: DrawSource | undefined, draw: number): tf.Tensor {
  if (!training || rate === 0) return x;
  if (source === undefined) return tf.dropout(x, rate);
  const mask = new Float32Array(x.size);
  fillPart(mask, RANDOM_LAYERS['Dropout']!(rate, x.rank).distribution, source, draw);
  return tf.mul(x, tf.tensor(mask, x.shape));
}

/** What tfjs hands to a layer beside its inputs. */
export interface CallArguments {
  readonly training?: boolean;
  readonly mask?: tf.Tensor | null;
}

const KEYS = ['numHeads', 'keyDim', 'valueDim', 'dropout', 'useBias', 'useCausalMask', 'kernelInitializer'];

/**
 * Keras' MultiHeadAttention. Called on one tensor it attends to that; on a list, these are the query, the value and, if
 * not the value, the key. A mask counts when there is one input. `use_causal_mask`, in Keras an argument of the call, is
 * part of the config, since a file holds configs.
 */
export class MultiHeadAttention extends WeightedLayer {
  static readonly className = 'MultiHeadAttention';
  readonly #args: LayerArguments;
  #weights: AttentionWeights | undefined;
  /** The share of the scores that training drops. */
  readonly rate: number;
  draws: DrawSource | undefined;

  constructor(args: LayerArguments) {
    super(args, KEYS);
    this.#args = args;
    this.rate = numberOf(args, 'dropout', 0);
  }

  override build(inputShape: tf.Tensor['shape'] | tf.Tensor['shape'][]): void {
    const shapes = (Array.isArray(inputShape[0]) ? inputShape : [inputShape]) as number[][];
    const [query, value, key] = [shapes[0]!, shapes[1] ?? shapes[0]!, shapes[2] ?? shapes[1] ?? shapes[0]!].map((shape) => shape.at(-1)!);
    const count = numberOf(this.#args, 'numHeads');
    const size = numberOf(this.#args, 'keyDim');
    const width = numberOf(this.#args, 'valueDim', size);
    const useBias = booleanOf(this.#args, 'useBias', true);
    const projection = (name: string, shape: readonly number[], bias: readonly number[]): Projection => ({
      kernel: this.kernel(`${name}/kernel`, shape),
      bias: useBias ? this.filled(`${name}/bias`, bias, 0) : undefined,
    });
    this.#weights = {
      query: projection('query', [query!, count, size], [count, size]),
      key: projection('key', [key!, count, size], [count, size]),
      value: projection('value', [value!, count, width], [count, width]),
      output: projection('attention_output', [count, width, query!], [query!]),
    };
    this.built = true;
  }

  override computeOutputShape(inputShape: tf.Tensor['shape'] | tf.Tensor['shape'][]): tf.Tensor['shape'] {
    return (Array.isArray(inputShape[0]) ? inputShape[0] : inputShape) as tf.Tensor['shape'];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], { training = false, mask }: CallArguments): tf.Tensor {
    const [query, value, key] = (Array.isArray(inputs) ? inputs : [inputs]) as [tf.Tensor3D, tf.Tensor3D?, tf.Tensor3D?];
    return tf.tidy(() =>
      attend(
        {
          query,
          value: value ?? query,
          key: key ?? value ?? query,
          mask: value === undefined ? (mask ?? undefined) : undefined,
          causal: booleanOf(this.#args, 'useCausalMask', false),
          drop: (scores) => dropped(scores, this.rate, training, this.draws, 0),
        },
        this.#weights!,
      ),
    );
  }
}
