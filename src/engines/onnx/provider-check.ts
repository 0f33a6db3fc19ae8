import type { InferenceSession, OnnxValue } from 'onnxruntime-node';
import type { Signature } from '../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { differenceOf, variedInputs } from '../agreement.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

async function answersOf(session: InferenceSession, inputs: NamedTensors): Promise<Tensor[]> {
  const feeds: Record<string, OnnxValue> = {};
  for (const [name, tensor] of inputs) feeds[name] = toOrtValue(name, tensor);
  return Object.values(await session.run(feeds)).flatMap((value) => ('data' in value ? [fromOrtValue(value)] : []));
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
  for (const inputs of variedInputs(signature)) {
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
