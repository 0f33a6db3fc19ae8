import { BROKEN_MODEL, echoModel } from './models.ts';
import type { ErrorKind, InferRequest, Outputs, Said } from './route.ts';
import { countOf, type DType, DTYPES, type Element, type Tensor, tensorOf } from './tensor.ts';

export interface GoldenCase {
  readonly name: string;
  readonly request: InferRequest;
  readonly expected: { readonly outputs: Outputs } | { readonly kind: ErrorKind };
  /** What a route must say for the case to mean the same there. */
  readonly needs?: Said;
}

/** Elements that show the width, the sign and the edges of a dtype. */
export const SAMPLES: Readonly<Record<DType, readonly Element[]>> = {
  BOOL: [true, false],
  UINT8: [0, 1, 255],
  UINT16: [0, 256, 65_535],
  UINT32: [0, 65_536, 4_294_967_295],
  UINT64: [0n, 9_007_199_254_740_993n, 18_446_744_073_709_551_615n],
  INT8: [-128, 0, 127],
  INT16: [-32_768, -1, 32_767],
  INT32: [-2_147_483_648, -1, 2_147_483_647],
  INT64: [-9_223_372_036_854_775_808n, -9_007_199_254_740_993n, 9_223_372_036_854_775_807n],
  FP16: [1.5, -0, 65_504, 2 ** -24, 0.0999755859375],
  FP32: [1.5, -0, Math.fround(3.4028234663852886e38), Math.fround(1e-45), Math.fround(0.1), 16_777_216],
  FP64: [0.1, -0, Number.MAX_VALUE, Number.MIN_VALUE, 1 / 3],
  BYTES: [Buffer.from('a'), Buffer.alloc(0), Buffer.from('Grüße 🙂'), Buffer.from('"\\\n\u0001')],
};

const SHAPES: readonly (readonly number[])[] = [[], [1], [5], [2, 3], [3, 1], [1, 2, 2, 2], [0], [2, 0], [0, 2]];

function cycle(dtype: DType, shape: readonly number[], samples: readonly Element[]): Tensor {
  return tensorOf(
    dtype,
    shape,
    Array.from({ length: countOf(shape) }, (_element, index) => samples[index % samples.length]!),
  );
}

function echo(name: string, tensor: Tensor): GoldenCase {
  const { dtype } = tensor;
  return {
    name,
    request: { model: echoModel(dtype), inputs: [['x', tensor]], outputTypes: { y: dtype } },
    expected: { outputs: new Map([['y', tensor]]) },
  };
}

const echoes = DTYPES.flatMap((dtype) =>
  SHAPES.map((shape) => echo(`${dtype} [${shape.join(', ')}]`, cycle(dtype, shape, SAMPLES[dtype]))),
);

const nonFinite = (['FP16', 'FP32', 'FP64'] as const).map((dtype) =>
  echo(`${dtype} NaN and infinities`, tensorOf(dtype, [4], [Number.NaN, Infinity, -Infinity, 1])),
);

export function fp32(shape: readonly number[], values: readonly number[]): Tensor {
  return tensorOf('FP32', shape, values);
}

function arithmetic(
  model: string,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
  more: Partial<InferRequest> = {},
): GoldenCase {
  const outputTypes = Object.fromEntries(Object.entries(outputs).map(([name, { dtype }]) => [name, dtype]));
  return {
    name: `${model}${more.outputs ? ` for ${more.outputs.join(', ')}` : ''}${more.version ? ', by version' : ''}`,
    request: { model, inputs: Object.entries(inputs), outputTypes, ...more },
    expected: { outputs: new Map(Object.entries(outputs)) },
  };
}

const A = fp32([2, 2], [1, 2, 3, 4]);
const B = fp32([2, 2], [10, 20, 30, 40]);
const X = fp32([3], [1, 2.5, -3]);
const Y = fp32([3], [3, 7.5, -9]);
const SUM = fp32([2, 2], [11, 22, 33, 44]);
const DIFFERENCE = fp32([2, 2], [-9, -18, -27, -36]);

const answers: readonly GoldenCase[] = [
  arithmetic('times-three', { x: X }, { y: Y }),
  arithmetic('times-three', { x: X }, { y: Y }, { version: 1 }),
  arithmetic('multi', { a: A, b: B }, { sum: SUM, difference: DIFFERENCE }),
  arithmetic('multi', { b: B, a: A }, { difference: DIFFERENCE }, { outputs: ['difference'] }),
  arithmetic('multi', { a: A, b: B }, { difference: DIFFERENCE, sum: SUM }, { outputs: ['difference', 'sum'] }),
  arithmetic('scalar', { x: fp32([], [2]) }, { y: fp32([], [6]) }),
  arithmetic('fixed', { x: fp32([2, 3], [1, 2, 3, 4, 5, 6]) }, { y: fp32([2, 3], [3, 6, 9, 12, 15, 18]) }),
  arithmetic(
    'state',
    { x: fp32([2, 1], [1, 2]), state: fp32([2, 1], [0.5, -2]) },
    { y: fp32([2, 1], [3, 0]), new_state: fp32([2, 1], [1.5, 0]) },
  ),
];

function refused(
  name: string,
  kind: ErrorKind,
  model: string,
  inputs: Readonly<Record<string, Tensor>>,
  more: Partial<InferRequest> & { readonly needs?: Said } = {},
): GoldenCase {
  const { needs, ...rest } = more;
  return {
    name,
    request: { model, inputs: Object.entries(inputs), outputTypes: { y: 'FP32' }, ...rest },
    expected: { kind },
    ...(needs && { needs }),
  };
}

const errors: readonly GoldenCase[] = [
  // The strings of ONNX are UTF-8 without NUL; that they are not comes from the model, by every route.
  refused('BYTES that are no UTF-8', 'invalid_argument', echoModel('BYTES'), { x: tensorOf('BYTES', [1], [Buffer.of(0xc3, 0x28)]) }),
  refused('BYTES with a NUL', 'invalid_argument', echoModel('BYTES'), { x: tensorOf('BYTES', [1], [Buffer.of(97, 0, 98)]) }),
  refused('an unknown model', 'not_found', 'nothing', { x: X }),
  refused('an unknown version', 'not_found', 'times-three', { x: X }, { version: 7 }),
  refused('a model that failed to load', 'failed_precondition', BROKEN_MODEL, { x: X }),
  refused('an unknown input', 'invalid_argument', 'times-three', { z: X }, { needs: 'names' }),
  refused('a missing input', 'invalid_argument', 'multi', { a: A }),
  refused('no input', 'invalid_argument', 'times-three', {}),
  refused('an input too many', 'invalid_argument', 'times-three', { x: X, z: X }),
  refused('an unknown output', 'invalid_argument', 'times-three', { x: X }, { outputs: ['z'] }),
  refused('too many dimensions', 'invalid_argument', 'times-three', { x: fp32([1, 3], [1, 2, 3]) }),
  refused('a wrong dimension', 'invalid_argument', 'fixed', { x: fp32([3, 2], [1, 2, 3, 4, 5, 6]) }),
  refused('dimensions that differ where the model names them alike', 'invalid_argument', 'multi', {
    a: A,
    b: fp32([3, 2], [1, 2, 3, 4, 5, 6]),
  }),
  ...(['FP64', 'INT32', 'INT64', 'UINT8', 'FP16'] as const).map((dtype) =>
    refused(
      `${dtype} for FP32`,
      'invalid_argument',
      'times-three',
      { x: tensorOf(dtype, [1], [dtype === 'INT64' ? 1n : 1]) },
      { needs: 'types' },
    ),
  ),
];

export const GOLDEN_CASES: readonly GoldenCase[] = [...echoes, ...nonFinite, ...answers, ...errors];
