import { SlipwayError } from '../../../errors/slipway-error.ts';
import { formatShape } from '../../../tensor/shape.ts';
import type { Signature } from '../../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';

/** The largest difference that passes, relative to numbers above 1. */
const TOLERANCE = 1e-4;

function different(message: string): SlipwayError {
  return new SlipwayError('COMPILE_FAILED', `The compiled model differs from tfjs: ${message}.`);
}

/** Callers must not notice which engine answers. @throws SlipwayError COMPILE_FAILED when names or dtypes differ */
export function compareSignatures(compiled: Signature, expected: Signature): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const describe = (signature: Signature): string =>
      signature[side].map(({ name, dtype, shape }) => `${name} ${dtype} rank ${shape?.length}`).join(', ');
    if (describe(compiled) !== describe(expected)) throw different(`its ${side} are ${describe(compiled)}, not ${describe(expected)}`);
  }
}

function differenceOf(name: string, compiled: Tensor, expected: Tensor): number {
  if (formatShape(compiled.shape) !== formatShape(expected.shape) || compiled.dtype !== expected.dtype) {
    const [one, other] = [compiled, expected].map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`);
    throw different(`its output "${name}" is ${one}, not ${other}`);
  }
  const [values, wanted] = [compiled.data as Float32Array, expected.data as Float32Array];
  let largest = 0;
  for (let index = 0; index < values.length; index += 1) {
    const [value, want] = [values[index]!, wanted[index]!];
    // The same infinity, and NaN for NaN, are the same.
    if (Object.is(value, want) || value === want) continue;
    const difference = Math.abs(value - want) / Math.max(1, Math.abs(want));
    if (!(difference <= TOLERANCE)) throw different(`its output "${name}" has ${value} where tfjs has ${want}; ${TOLERANCE} may differ`);
    largest = Math.max(largest, difference);
  }
  return largest;
}

/** The largest difference between the outputs of both. @throws SlipwayError COMPILE_FAILED when it is too large */
export function compareOutputs(compiled: NamedTensors, expected: NamedTensors): number {
  let largest = 0;
  for (const [name, tensor] of expected) largest = Math.max(largest, differenceOf(name, compiled.get(name)!, tensor));
  return largest;
}
