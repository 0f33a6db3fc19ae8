import type { TrainingBatch, Values } from './trainer.ts';

/** A part of a batch. */
export interface MicroBatch {
  readonly batch: TrainingBatch;
  /** Examples of the batch before it, and in it. */
  readonly first: number;
  readonly examples: number;
  /** What its mean counts in that of the batch: its part of the examples, or of the steps that have a class. */
  readonly share: number;
}

function rowsOf({ shape, data }: Values, from: number, to: number): Values {
  const width = data.length / shape[0]!;
  return { shape: [to - from, ...shape.slice(1)], data: data.subarray(from * width, to * width) };
}

/** How many values a mean over a target has: of class indexes those that are none (−1) are left out. */
export function countedIn({ data }: Values): number {
  if (!(data instanceof Int32Array)) return data.length;
  let count = 0;
  for (const index of data) if (index >= 0) count += 1;
  return count;
}

/** Cuts a batch into at most so many parts of nearly the same size; views of its arrays. */
export function microBatchesOf(batch: TrainingBatch, count: number): MicroBatch[] {
  const examples = batch.inputs.shape[0]!;
  const parts = Math.max(1, Math.min(count, examples));
  const all = countedIn(batch.target);
  return Array.from({ length: parts }, (_part, index) => {
    const [first, end] = [Math.floor((examples * index) / parts), Math.floor((examples * (index + 1)) / parts)];
    const part = {
      inputs: rowsOf(batch.inputs, first, end),
      target: rowsOf(batch.target, first, end),
      teacher: batch.teacher && rowsOf(batch.teacher, first, end),
    };
    return { batch: parts === 1 ? batch : part, first, examples: end - first, share: parts === 1 ? 1 : countedIn(part.target) / all };
  });
}

/** Arrays one behind the other. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
