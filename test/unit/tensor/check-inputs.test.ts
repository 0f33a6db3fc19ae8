import { describe, expect, it } from 'vitest';
import { checkInputs, checkOutputs } from '../../../src/tensor/check-inputs.ts';
import type { Signature } from '../../../src/tensor/signature.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';

const signature: Signature = {
  inputs: [
    { name: 'image', dtype: 'FP32', shape: [-1, 2, 2] },
    { name: 'anything', dtype: 'INT64', shape: null },
  ],
  outputs: [
    { name: 'a', dtype: 'FP32', shape: [-1] },
    { name: 'b', dtype: 'FP32', shape: [-1] },
  ],
};

const image = (...shape: number[]): Tensor => ({ dtype: 'FP32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
const anything: Tensor = { dtype: 'INT64', shape: [], data: BigInt64Array.of(1n) };

describe('checkInputs', () => {
  it('takes any size of a dynamic dimension, zero included, and any rank where the model takes any', () => {
    for (const batch of [0, 1, 7]) {
      checkInputs(
        new Map([
          ['image', image(batch, 2, 2)],
          ['anything', anything],
        ]),
        signature,
      );
    }
  });

  it.each([
    ['a fixed dimension', image(1, 2, 3), 'inputs.image has the shape [1, 2, 3]; the model needs [-1, 2, 2].'],
    ['the rank', image(2, 2), 'inputs.image has the shape [2, 2]; the model needs [-1, 2, 2].'],
    ['the dtype', { ...image(1, 2, 2), dtype: 'FP64' as const }, 'inputs.image has the dtype FP64; the model needs FP32.'],
  ])('refuses what differs in %s', (_what, tensor, message) => {
    expect(() =>
      checkInputs(
        new Map([
          ['image', tensor],
          ['anything', anything],
        ]),
        signature,
      ),
    ).toThrow(message);
  });

  it('names every missing and every unknown input', () => {
    const check = (): void => checkInputs(new Map([['images', image(1, 2, 2)]]), signature);
    expect(check).toThrow(
      expect.objectContaining({
        code: 'INPUT_MISMATCH',
        details: [
          { path: 'inputs.image', message: 'is missing; the model needs FP32 [-1, 2, 2]' },
          { path: 'inputs.anything', message: 'is missing; the model needs INT64 [...]' },
          { path: 'inputs.images', message: 'is not an input of the model, which has "image", "anything"' },
        ],
      }),
    );
  });
});

describe('checkOutputs', () => {
  it('gives all outputs when none are named, else those named, once each, in their order', () => {
    expect(checkOutputs(undefined, signature)).toEqual(['a', 'b']);
    expect(checkOutputs([], signature)).toEqual(['a', 'b']);
    expect(checkOutputs(['b', 'a', 'b'], signature)).toEqual(['b', 'a']);
  });

  it('refuses an output that the model does not have', () => {
    expect(() => checkOutputs(['c'], signature)).toThrow('The model has no output "c"; it has "a", "b".');
  });
});
