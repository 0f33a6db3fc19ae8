import type { InferenceSession, OnnxValue } from 'onnxruntime-node';
import { STORAGE } from '../../tensor/dtype.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { filledInputs } from '../filled-inputs.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

const FLOATS: ReadonlySet<string> = new Set(['FP32', 'FP64']);

/** Numbers that look random and are the same each time (a linear congruential generator, Numerical Recipes), in [0, 1). */
function createNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function varied(tensor: Tensor, next: () => number): Tensor {
  if (!FLOATS.has(tensor.dtype)) return tensor;
  const Storage = STORAGE[tensor.dtype as 'FP32'];
  return { ...tensor, data: Storage.from(tensor.data as Float32Array, next) };
}

/** Inputs of varied numbers that fit a signature, some for each size of its open dimensions. */
function testInputs(signature: Signature): NamedTensors[] {
  const next = createNumbers();
  return [...filledInputs(signature, 1), ...filledInputs(signature, 1)].map(
    (inputs) => new Map([...inputs].map(([name, tensor]) => [name, varied(tensor, next)])),
  );
}

async function answersOf(session: InferenceSession, inputs: NamedTensors): Promise<Tensor[]> {
  const feeds: Record<string, OnnxValue> = {};
  for (const [name, tensor] of inputs) feeds[name] = toOrtValue(name, tensor);
  return Object.values(await session.run(feeds)).flatMap((value) => ('data' in value ? [fromOrtValue(value)] : []));
}

/** The largest difference of numbers, where those larger than 1 count by their ratio. */
function differenceOf(one: Tensor, other: Tensor): number {
  if (!FLOATS.has(one.dtype)) return 0;
  const values = one.data as Float32Array;
  const others = other.data as Float32Array;
  let largest = 0;
  for (const [index, value] of values.entries()) {
    if (Object.is(value, others[index]) || value === others[index]) continue;
    const difference = Math.abs(value - others[index]!) / Math.max(1, Math.abs(value));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}

/**
 * How far the answers of a session are from those of another one of the same model, on inputs that are made up.
 * @returns undefined when neither takes such inputs.
 */
export async function differenceBetween(
  signature: Signature,
  session: InferenceSession,
  reference: InferenceSession,
): Promise<number | undefined> {
  let largest: number | undefined;
  for (const inputs of testInputs(signature)) {
    let expected: Tensor[];
    try {
      expected = await answersOf(reference, inputs);
    } catch {
      continue;
    }
    // What only the other one takes is as wrong as a wrong answer.
    const found = await answersOf(session, inputs).catch(() => undefined);
    if (found === undefined) return Infinity;
    for (const [index, tensor] of expected.entries()) largest = Math.max(largest ?? 0, differenceOf(tensor, found[index]!));
  }
  return largest;
}
