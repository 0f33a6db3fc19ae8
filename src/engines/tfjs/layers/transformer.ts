import * as tf from '@tensorflow/tfjs-core';
import type { DrawSource } from '../../training/draws.ts';
import { layers } from '@tensorflow/tfjs-layers';
import { attend, type AttentionWeights, type CallArguments, dropped, type Projection } from './attention.ts';
import { booleanOf, type LayerArguments, numberOf, type Weight, WeightedLayer } from './weighted-layer.ts';

interface Norm {
  readonly gamma: Weight;
  readonly beta: Weight;
}

interface BlockWeights {
  readonly attention: AttentionWeights;
  readonly attentionNorm: Norm;
  readonly feedforwardNorm: Norm;
  readonly intermediate: { readonly kernel: Weight; readonly bias: Weight };
  readonly output: { readonly kernel: Weight; readonly bias: Weight };
}

function normalized(x: tf.Tensor, { gamma, beta }: Norm, epsilon: number): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.div(centred, tf.sqrt(tf.add(variance, epsilon))), gamma.read()), beta.read());
}

function dense(x: tf.Tensor, { kernel, bias }: { readonly kernel: Weight; readonly bias: Weight }): tf.Tensor {
  const rows = tf.reshape(x, [-1, x.shape.at(-1)!]);
  const product = tf.add(tf.matMul(rows, kernel.read() as tf.Tensor2D), bias.read());
  return tf.reshape(product, [...x.shape.slice(0, -1), product.shape.at(-1)!]);
}

const KEYS = ['intermediateDim', 'numHeads', 'dropout', 'activation', 'layerNormEpsilon', 'normalizeFirst', 'kernelInitializer'];

/** Attention and two dense layers, each with its sum and norm, as in KerasHub's TransformerEncoder and TransformerDecoder. */
class TransformerBlock extends WeightedLayer {
  readonly #args: LayerArguments;
  readonly #causal: boolean;
  readonly #activation: ReturnType<typeof layers.activation>;
  #weights: BlockWeights | undefined;
  /** The share that training drops of the scores and of the output of each part. */
  readonly rate: number;
  draws: DrawSource | undefined;

  constructor(args: LayerArguments, causal: boolean) {
    super(args, KEYS);
    this.#args = args;
    this.#causal = causal;
    this.rate = numberOf(args, 'dropout', 0);
    this.#activation = layers.activation({ activation: (args['activation'] ?? 'relu') as 'relu' });
  }

  override build(inputShape: number[]): void {
    const features = inputShape.at(-1)!;
    const count = numberOf(this.#args, 'numHeads');
    const size = Math.floor(features / count);
    const inner = numberOf(this.#args, 'intermediateDim');
    // KerasHub's own names.
    const attention = this.#causal ? 'self_attention' : 'self_attention_layer';
    const projection = (name: string): Projection => ({
      kernel: this.kernel(`${attention}/${name}/kernel`, [features, count, size]),
      bias: this.filled(`${attention}/${name}/bias`, [count, size], 0),
    });
    const norm = (name: string): Norm => ({
      gamma: this.filled(`${name}/gamma`, features, 1),
      beta: this.filled(`${name}/beta`, features, 0),
    });
    const product = (name: string, from: number, to: number) => ({
      kernel: this.kernel(`${name}/kernel`, [from, to]),
      bias: this.filled(`${name}/bias`, to, 0),
    });
    this.#weights = {
      attention: {
        query: projection('query'),
        key: projection('key'),
        value: projection('value'),
        output: {
          kernel: this.kernel(`${attention}/attention_output/kernel`, [count, size, features]),
          bias: this.filled(`${attention}/attention_output/bias`, features, 0),
        },
      },
      attentionNorm: norm('self_attention_layer_norm'),
      feedforwardNorm: norm('feedforward_layer_norm'),
      intermediate: product('feedforward_intermediate_dense', features, inner),
      output: product('feedforward_output_dense', inner, features),
    };
    this.built = true;
  }

  override computeOutputShape(inputShape: tf.Tensor['shape']): tf.Tensor['shape'] {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], { training = false, mask }: CallArguments): tf.Tensor {
    const weights = this.#weights!;
    const epsilon = numberOf(this.#args, 'layerNormEpsilon', 1e-5);
    const before = booleanOf(this.#args, 'normalizeFirst', false);
    let draws = 0;
    const drop = (x: tf.Tensor): tf.Tensor => {
      draws += 1;
      return dropped(x, this.rate, training, this.draws, draws - 1);
    };
    /** A part with its sum and its norm, which comes before the part or after the sum. */
    const part = (x: tf.Tensor, norm: Norm, compute: (x: tf.Tensor) => tf.Tensor): tf.Tensor => {
      const sum = tf.add(x, drop(compute(before ? normalized(x, norm, epsilon) : x)));
      return before ? sum : normalized(sum, norm, epsilon);
    };
    return tf.tidy(() => {
      const x = Array.isArray(inputs) ? inputs[0]! : inputs;
      const attended = part(x, weights.attentionNorm, (each) => {
        const query = each as tf.Tensor3D;
        return attend({ query, key: query, value: query, mask: mask ?? undefined, causal: this.#causal, drop }, weights.attention);
      });
      return part(attended, weights.feedforwardNorm, (each) =>
        dense(this.#activation.call(dense(each, weights.intermediate), {}) as tf.Tensor, weights.output),
      );
    });
  }
}

/** A block that sees the whole sequence. */
export class TransformerEncoder extends TransformerBlock {
  static readonly className = 'TransformerEncoder';

  constructor(args: LayerArguments) {
    super(args, false);
  }
}

/** A block in which each step sees itself and those before it, without an encoder beside it. */
export class TransformerDecoder extends TransformerBlock {
  static readonly className = 'TransformerDecoder';

  constructor(args: LayerArguments) {
    super(args, true);
  }
}
