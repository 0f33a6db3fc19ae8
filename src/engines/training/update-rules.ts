import type { OptimizerSpec } from './trainer.ts';

/** The memory of an optimizer for one array of weights, by name. */
export type Slots = Readonly<Record<string, Float32Array>>;

export interface UpdateRule {
  /** The memory before the first step. @param length numbers in the array of weights */
  createSlots(length: number): Slots;
  /**
   * Changes weights and memory in place.
   * @param rate the learning rate
   * @param step counts from 1
   */
  update(weights: Float32Array, gradient: Float32Array, slots: Slots, rate: number, step: number): void;
}

type Rule<Kind extends OptimizerSpec['kind']> = (spec: Extract<OptimizerSpec, { kind: Kind }>) => UpdateRule;

/*
 * The formulas are those that PyTorch's torch.optim states for each optimizer, so that the same numbers come out.
 * w weights, g gradient (with weight decay λ: g + λw, but for AdamW), η learning rate, t step.
 */

/** Weight decay joins the gradient. */
function decayed(gradient: Float32Array, weights: Float32Array, index: number, weightDecay: number): number {
  return gradient[index]! + weightDecay * weights[index]!;
}

/**
 * b ← μb + g, w ← w − ηb, or with Nesterov's momentum w ← w − η(g + μb)
 * (I. Sutskever et al., On the importance of initialization and momentum in deep learning, 2013).
 */
const sgd: Rule<'sgd'> = ({ momentum, nesterov, weightDecay }) => ({
  createSlots: (length): Slots => (momentum === 0 ? {} : { momentum: new Float32Array(length) }),
  update(weights, gradient, { momentum: buffer }, rate) {
    for (let index = 0; index < weights.length; index += 1) {
      const g = decayed(gradient, weights, index, weightDecay);
      let direction = g;
      if (buffer !== undefined) {
        const b = momentum * buffer[index]! + g;
        buffer[index] = b;
        direction = nesterov ? g + momentum * b : b;
      }
      weights[index] = weights[index]! - rate * direction;
    }
  },
});

/** s ← s + g², w ← w − ηg ÷ (√s + ε) (J. Duchi et al., Adaptive subgradient methods, 2011). */
const adagrad: Rule<'adagrad'> = ({ initialAccumulator, epsilon, weightDecay }) => ({
  createSlots: (length) => ({ sum: new Float32Array(length).fill(initialAccumulator) }),
  update(weights, gradient, slots, rate) {
    const sum = slots['sum']!;
    for (let index = 0; index < weights.length; index += 1) {
      const g = decayed(gradient, weights, index, weightDecay);
      const s = sum[index]! + g * g;
      sum[index] = s;
      weights[index] = weights[index]! - (rate * g) / (Math.sqrt(s) + epsilon);
    }
  },
});

/** v ← ρv + (1 − ρ)g², Δ = √(u + ε) ÷ √(v + ε) · g, u ← ρu + (1 − ρ)Δ², w ← w − ηΔ (M. Zeiler, ADADELTA, 2012). */
const adadelta: Rule<'adadelta'> = ({ rho, epsilon, weightDecay }) => ({
  createSlots: (length) => ({ square: new Float32Array(length), delta: new Float32Array(length) }),
  update(weights, gradient, slots, rate) {
    const square = slots['square']!;
    const delta = slots['delta']!;
    for (let index = 0; index < weights.length; index += 1) {
      const g = decayed(gradient, weights, index, weightDecay);
      const v = rho * square[index]! + (1 - rho) * g * g;
      const change = (Math.sqrt(delta[index]! + epsilon) / Math.sqrt(v + epsilon)) * g;
      square[index] = v;
      delta[index] = rho * delta[index]! + (1 - rho) * change * change;
      weights[index] = weights[index]! - rate * change;
    }
  },
});

/**
 * v ← ρv + (1 − ρ)g², w ← w − ηg ÷ (√v + ε), with momentum b ← μb + g ÷ (√v + ε), w ← w − ηb; centered takes the square
 * of the mean gradient off v (T. Tieleman, G. Hinton, Lecture 6.5, 2012; A. Graves, Generating sequences, 2013).
 */
const rmsprop: Rule<'rmsprop'> = ({ rho, momentum, centered, epsilon, weightDecay }) => ({
  createSlots: (length) => ({
    square: new Float32Array(length),
    ...(centered && { mean: new Float32Array(length) }),
    ...(momentum > 0 && { momentum: new Float32Array(length) }),
  }),
  update(weights, gradient, slots, rate) {
    const square = slots['square']!;
    const { mean, momentum: buffer } = slots;
    for (let index = 0; index < weights.length; index += 1) {
      const g = decayed(gradient, weights, index, weightDecay);
      let v = rho * square[index]! + (1 - rho) * g * g;
      square[index] = v;
      if (mean !== undefined) {
        const m = rho * mean[index]! + (1 - rho) * g;
        mean[index] = m;
        v -= m * m;
      }
      let change = g / (Math.sqrt(v) + epsilon);
      if (buffer !== undefined) buffer[index] = change = momentum * buffer[index]! + change;
      weights[index] = weights[index]! - rate * change;
    }
  },
});

/**
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − η · m/(1 − β₁ᵗ) ÷ (√(v/(1 − β₂ᵗ)) + ε)
 * (D. Kingma, J. Ba, Adam, 2015). AdamW decays the weights themselves first: w ← w − ηλw (I. Loshchilov, F. Hutter, 2019).
 */
const adam: Rule<'adam' | 'adamw'> = ({ kind, beta1, beta2, epsilon, weightDecay }) => ({
  createSlots: (length) => ({ first: new Float32Array(length), second: new Float32Array(length) }),
  update(weights, gradient, slots, rate, step) {
    const first = slots['first']!;
    const second = slots['second']!;
    const scale = rate / (1 - beta1 ** step);
    const root = Math.sqrt(1 - beta2 ** step);
    const decoupled = kind === 'adamw';
    const shrink = decoupled ? 1 - rate * weightDecay : 1;
    const coupled = decoupled ? 0 : weightDecay;
    for (let index = 0; index < weights.length; index += 1) {
      const g = decayed(gradient, weights, index, coupled);
      const m = beta1 * first[index]! + (1 - beta1) * g;
      const v = beta2 * second[index]! + (1 - beta2) * g * g;
      first[index] = m;
      second[index] = v;
      weights[index] = shrink * weights[index]! - (scale * m) / (Math.sqrt(v) / root + epsilon);
    }
  },
});

/** m as in Adam, u ← max(β₂u, |g| + ε), w ← w − η/(1 − β₁ᵗ) · m ÷ u (the same paper, section 7.1). */
const adamax: Rule<'adamax'> = ({ beta1, beta2, epsilon, weightDecay }) => ({
  createSlots: (length) => ({ first: new Float32Array(length), norm: new Float32Array(length) }),
  update(weights, gradient, slots, rate, step) {
    const first = slots['first']!;
    const norm = slots['norm']!;
    const scale = rate / (1 - beta1 ** step);
    for (let index = 0; index < weights.length; index += 1) {
      const g = decayed(gradient, weights, index, weightDecay);
      const m = beta1 * first[index]! + (1 - beta1) * g;
      const u = Math.max(beta2 * norm[index]!, Math.abs(g) + epsilon);
      first[index] = m;
      norm[index] = u;
      weights[index] = weights[index]! - (scale * m) / u;
    }
  },
});

/** The rule of an optimizer. */
export function createUpdateRule(spec: OptimizerSpec): UpdateRule {
  switch (spec.kind) {
    case 'sgd':
      return sgd(spec);
    case 'adagrad':
      return adagrad(spec);
    case 'adadelta':
      return adadelta(spec);
    case 'rmsprop':
      return rmsprop(spec);
    case 'adamax':
      return adamax(spec);
    case 'adam':
    case 'adamw':
      return adam(spec);
  }
}

/** Cuts gradients in place, as `Clipping` says. The norm is that of all arrays together. */
export function clipGradients(
  gradients: readonly Float32Array[],
  { value, norm }: { value?: number | undefined; norm?: number | undefined },
): void {
  if (value !== undefined) {
    for (const gradient of gradients) {
      for (let index = 0; index < gradient.length; index += 1) gradient[index] = Math.max(-value, Math.min(value, gradient[index]!));
    }
  }
  if (norm === undefined) return;
  let sum = 0;
  for (const gradient of gradients) for (const each of gradient) sum += each * each;
  const length = Math.sqrt(sum);
  if (!(length > norm)) return;
  const scale = norm / length;
  for (const gradient of gradients) for (let index = 0; index < gradient.length; index += 1) gradient[index] = gradient[index]! * scale;
}
