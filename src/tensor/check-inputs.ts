import { type ErrorDetail, SlipwayError } from '../errors/slipway-error.ts';
import type { Signature, TensorSpec } from './signature.ts';
import { formatShape } from './shape.ts';
import type { NamedTensors, Tensor } from './tensor.ts';

function fits(shape: readonly number[], spec: TensorSpec): boolean {
  if (spec.shape === null) return true;
  if (shape.length !== spec.shape.length) return false;
  for (let axis = 0; axis < shape.length; axis += 1) {
    const wanted = spec.shape[axis]!;
    if (wanted >= 0 && wanted !== shape[axis]) return false;
  }
  return true;
}

function problemOf(tensor: Tensor | undefined, spec: TensorSpec): string | undefined {
  if (tensor === undefined) return `is missing; the model needs ${spec.dtype} ${formatShape(spec.shape)}`;
  if (tensor.dtype !== spec.dtype) return `has the dtype ${tensor.dtype}; the model needs ${spec.dtype}`;
  if (!fits(tensor.shape, spec)) return `has the shape ${formatShape(tensor.shape)}; the model needs ${formatShape(spec.shape)}`;
  return undefined;
}

/**
 * Checks that the inputs are those of the signature: every name, no other name, the dtype, the rank and each fixed
 * dimension.
 * @throws SlipwayError INPUT_MISMATCH with one detail for each input that does not fit.
 */
export function checkInputs(inputs: NamedTensors, signature: Signature): void {
  let details: ErrorDetail[] | undefined;
  let known = 0;
  for (const spec of signature.inputs) {
    const tensor = inputs.get(spec.name);
    if (tensor !== undefined) known += 1;
    const problem = problemOf(tensor, spec);
    if (problem !== undefined) (details ??= []).push({ path: `inputs.${spec.name}`, message: problem });
  }
  if (known !== inputs.size) {
    const names = signature.inputs.map((spec) => `"${spec.name}"`).join(', ');
    for (const name of inputs.keys()) {
      if (signature.inputs.some((spec) => spec.name === name)) continue;
      (details ??= []).push({ path: `inputs.${name}`, message: `is not an input of the model, which has ${names}` });
    }
  }
  if (details === undefined) return;
  const [first] = details;
  throw new SlipwayError('INPUT_MISMATCH', `${first!.path} ${first!.message}.`, { details });
}

/**
 * The names of the outputs to compute, in the order of the request; all when none are named.
 * @throws SlipwayError OUTPUT_NOT_FOUND
 */
export function checkOutputs(outputs: readonly string[] | undefined, signature: Signature): readonly string[] {
  const known = signature.outputs.map((spec) => spec.name);
  if (outputs === undefined || outputs.length === 0) return known;
  for (const name of outputs) {
    if (known.includes(name)) continue;
    const names = known.map((each) => `"${each}"`).join(', ');
    throw new SlipwayError('OUTPUT_NOT_FOUND', `The model has no output "${name}"; it has ${names}.`, {
      details: [{ path: 'outputs', message: `"${name}" is not an output of the model` }],
    });
  }
  return [...new Set(outputs)];
}
