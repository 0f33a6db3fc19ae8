import { Tensor as OrtTensor } from 'onnxruntime-node';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { Fetches, Values } from './graph-session.ts';
import { fromOrtValue } from './values.ts';

/** An array that goes into every step by its name. */
export interface FixedTensor {
  readonly name: string;
  /** FP32. */
  readonly initial: Tensor;
}

/** One that comes out of a step changed, by another name. */
export interface StateTensor extends FixedTensor {
  readonly next: string;
}

/** Weights and the optimizer's memory, in two sets of tensors that swap with each step: one is read, the other written. */
export interface TrainingArrays {
  /** Adds those that a graph takes. @param taken the graph's inputs */
  feedInto(feeds: Values, taken: ReadonlySet<string>): void;
  /** Adds where the next ones are written. */
  fetchInto(fetches: Fetches): void;
  /** The next ones are the present ones. */
  swap(): void;
  /** All as they are now: views that the next step but one writes over. */
  values(): NamedTensors;
  /** @param state arrays of the same lengths; what it lacks stays as it is. */
  restore(state: NamedTensors): void;
}

function copyOf({ initial: { data, shape } }: FixedTensor): OrtTensor {
  // Shared memory: threads that compute gradients read the weights where they lie.
  const copy = new Float32Array(new SharedArrayBuffer(data.length * Float32Array.BYTES_PER_ELEMENT));
  copy.set(data as Float32Array);
  return new OrtTensor('float32', copy, [...shape]);
}

export function createTrainingArrays(state: readonly StateTensor[], fixed: readonly FixedTensor[]): TrainingArrays {
  const fixedNow = fixed.map((each) => [each.name, copyOf(each)] as const);
  let [now, next] = [state.map(copyOf), state.map(copyOf)];
  const all = (): [string, OrtTensor][] => [
    ...state.map(({ name }, index): [string, OrtTensor] => [name, now[index]!]),
    ...fixedNow.map(([name, tensor]): [string, OrtTensor] => [name, tensor]),
  ];
  return {
    feedInto(feeds, taken) {
      for (const [name, tensor] of all()) if (taken.has(name)) feeds[name] = tensor;
    },
    fetchInto(fetches) {
      for (const [index, { next: out }] of state.entries()) fetches[out] = next[index]!;
    },
    swap() {
      [now, next] = [next, now];
    },
    values: () => new Map(all().map(([name, tensor]) => [name, fromOrtValue(tensor)])),
    restore(from) {
      for (const [name, tensor] of all()) {
        const values = from.get(name);
        if (values !== undefined) (tensor.data as Float32Array).set(values.data as Float32Array);
      }
    },
  };
}
