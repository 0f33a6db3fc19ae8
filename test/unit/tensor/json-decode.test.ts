import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { DTYPES, type DType } from '../../../src/tensor/dtype.ts';
import { decodeJsonTensor } from '../../../src/tensor/json-decode.ts';
import { parseJson } from '../../../src/tensor/json-scanner.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';
import { elementsOf } from './arbitrary-tensor.ts';

function decode(text: string, dtype: DType, shape?: readonly number[]): Tensor {
  const value = parseJson(Buffer.from(text), { nonFinite: true });
  return decodeJsonTensor(value, { dtype, path: 'inputs.x', ...(shape && { shape }) });
}

function failure(text: string, dtype: DType, shape?: readonly number[]): SlipwayError {
  try {
    decode(text, dtype, shape);
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
  throw new Error(`${text} was taken for ${dtype}`);
}

describe('decodeJsonTensor', () => {
  it('takes the shape from the nesting', () => {
    const tensor = decode('[[[1,2.5,3]],[[4,5,-6]]]', 'FP32');
    expect(tensor).toEqual({ dtype: 'FP32', shape: [2, 1, 3], data: Float32Array.of(1, 2.5, 3, 4, 5, -6) });
    expect(decode('7', 'INT8')).toEqual({ dtype: 'INT8', shape: [], data: Int8Array.of(7) });
    expect(decode('[]', 'FP32')).toEqual({ dtype: 'FP32', shape: [0], data: new Float32Array(0) });
    expect(decode('[[],[]]', 'BOOL')).toEqual({ dtype: 'BOOL', shape: [2, 0], data: new Uint8Array(0) });
    expect(decode('[[],[]]', 'BYTES')).toEqual({ dtype: 'BYTES', shape: [2, 0], data: [] });
  });

  it('fills a given shape from a flat or an equally nested value', () => {
    expect(decode('[1,2,3,4]', 'INT32', [2, 2])).toEqual({ dtype: 'INT32', shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) });
    expect(decode('[[1,2],[3,4]]', 'INT32', [2, 2]).shape).toEqual([2, 2]);
    expect(decode('[5]', 'INT32', []).shape).toEqual([]);
    expect(decode('5', 'INT32', []).shape).toEqual([]);
    // Nothing behind its first 0 can be told by the nesting of an empty tensor.
    expect(decode('[[],[]]', 'INT32', [2, 0, 3])).toEqual({ dtype: 'INT32', shape: [2, 0, 3], data: new Int32Array(0) });
    expect(failure('[[],[]]', 'INT32', [3, 0]).message).toContain('is nested as [2, 0]');
    expect(decode('["a","b"]', 'BYTES', [1, 2])).toEqual({ dtype: 'BYTES', shape: [1, 2], data: [Buffer.from('a'), Buffer.from('b')] });
    expect(decode('[true,false]', 'BOOL', [2, 1]).shape).toEqual([2, 1]);
    expect(failure('[1,2,3]', 'INT32', [2, 2]).message).toBe('inputs.x: holds 3 elements; the shape [2, 2] takes 4.');
    expect(failure('[[1,2],[3,4]]', 'INT32', [4, 1]).message).toBe('inputs.x: is nested as [2, 2]; the shape is [4, 1].');
    expect(failure('[1]', 'INT32', [-1]).message).toContain('has the dimension -1');
    expect(failure('[1]', 'INT32', [1.5]).code).toBe('INVALID_TENSOR');
    expect(failure('[1]', 'FP32', [2 ** 40, 2 ** 40]).message).toContain('more elements than can be counted');
  });

  it('takes true, false, 0 and 1 for BOOL, also mixed', () => {
    expect(elementsOf(decode('[[true,false],[0,1]]', 'BOOL'))).toEqual([1, 0, 0, 1]);
    expect(decode('true', 'BOOL')).toEqual({ dtype: 'BOOL', shape: [], data: Uint8Array.of(1) });
    expect(failure('[[0,2]]', 'BOOL').message).toBe('inputs.x[0][1]: 2 is out of range for BOOL (0 to 1).');
    expect(failure('[true,"yes"]', 'BOOL').message).toBe('inputs.x[1]: is the text "yes"; BOOL takes true and false.');
    expect(failure('[true,1]', 'FP32').message).toBe('inputs.x[0]: is true; FP32 takes numbers.');
  });

  it.each([
    ['UINT8', 255, 0],
    ['UINT16', 65_535, 0],
    ['UINT32', 4_294_967_295, 0],
    ['INT8', 127, -128],
    ['INT16', 32_767, -32_768],
    ['INT32', 2_147_483_647, -2_147_483_648],
  ] as const)('takes the whole range of %s and nothing else', (dtype, high, low) => {
    expect(elementsOf(decode(`[${high},${low},-0]`, dtype)).map((each) => Number(each) + 0)).toEqual([high, low, 0]);
    expect(failure(`[[[1]],[[${high + 1}]]]`, dtype).message).toBe(
      `inputs.x[1][0][0]: ${high + 1} is out of range for ${dtype} (${low} to ${high}).`,
    );
    expect(failure(`[${low - 1}]`, dtype).message).toBe(`inputs.x[0]: ${low - 1} is out of range for ${dtype} (${low} to ${high}).`);
    expect(failure('[0,1.5]', dtype).message).toBe(`inputs.x[1]: 1.5 is not a whole number, as ${dtype} needs.`);
    expect(failure('[9007199254740993]', dtype).message).toContain('9007199254740993 is out of range');
    for (const text of ['[NaN]', '[Infinity]', '[-Infinity]', '[1e300]', '[4294967296]'])
      expect(failure(text, dtype).code, text).toBe('INVALID_TENSOR');
  });

  it('loses nothing of 64-bit integers', () => {
    expect(decode('[9223372036854775807,-9223372036854775808,-1,4294967296,-4294967297,9007199254740993]', 'INT64').data).toEqual(
      BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), -1n, 2n ** 32n, -(2n ** 32n) - 1n, 9007199254740993n),
    );
    expect(decode('[[18446744073709551615],[0]]', 'UINT64')).toEqual({
      dtype: 'UINT64',
      shape: [2, 1],
      data: BigUint64Array.of(2n ** 64n - 1n, 0n),
    });
    expect(decode('18446744073709551615', 'UINT64')).toEqual({ dtype: 'UINT64', shape: [], data: BigUint64Array.of(2n ** 64n - 1n) });
    expect(failure('[18446744073709551616]', 'UINT64').message).toBe(
      'inputs.x[0]: 18446744073709551616 is out of range for UINT64 (0 to 18446744073709551615).',
    );
    expect(failure('[-1]', 'UINT64').message).toContain('-1 is out of range for UINT64');
    expect(failure('[9223372036854775808]', 'INT64').code).toBe('INVALID_TENSOR');
    expect(failure('[0.5]', 'INT64').message).toContain('0.5 is not a whole number');
    expect(failure('[NaN]', 'INT64').message).toContain('NaN is not a whole number');
    fc.assert(
      fc.property(fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)), (values) => {
        expect([...(decode(`[${values.join()}]`, 'INT64').data as BigInt64Array)]).toEqual(values);
      }),
    );
  });

  it('rounds floats to nearest and refuses what their range does not hold', () => {
    expect(elementsOf(decode('[0.1,1e-50,-0.0]', 'FP32'))).toEqual([Math.fround(0.1), 0, -0]);
    expect(elementsOf(decode('[1,65504,65519.99,0.1]', 'FP16'))).toEqual([0x3c00, 0x7bff, 0x7bff, 0x2e66]);
    expect(elementsOf(decode('[1,-2,3.39e38]', 'BF16'))).toEqual([0x3f80, 0xc000, 0x7f7f]);
    expect(decode('[0.1]', 'FP64').data).toEqual(Float64Array.of(0.1));
    expect(failure('[[1,3.5e38]]', 'FP32').message).toBe(
      'inputs.x[0][1]: 3.5e+38 is out of range for FP32 (-3.4028234663852886e+38 to 3.4028234663852886e+38).',
    );
    expect(failure('[65520]', 'FP16').message).toBe('inputs.x[0]: 65520 is out of range for FP16 (-65504 to 65504).');
    expect(failure('[1,-3.4e38]', 'BF16').message).toContain('inputs.x[1]: -3.4e+38 is out of range for BF16');
  });

  it('keeps NaN and infinities that a protocol allows', () => {
    expect(elementsOf(decode('[NaN,-Infinity]', 'FP32'))).toEqual([Number.NaN, -Infinity]);
    expect(elementsOf(decode('[NaN,-Infinity]', 'FP16'))).toEqual([0x7e00, 0xfc00]);
    expect(elementsOf(decode('[NaN,Infinity]', 'BF16'))).toEqual([0x7fc0, 0x7f80]);
  });

  it('takes text for BYTES as UTF-8', () => {
    expect(decode('[["é","a\\u0000b"],["","😀"]]', 'BYTES')).toEqual({
      dtype: 'BYTES',
      shape: [2, 2],
      data: [Buffer.from('é'), Buffer.from('a\0b'), Buffer.from(''), Buffer.from('😀')],
    });
    expect(decode('"x"', 'BYTES').shape).toEqual([]);
    expect(failure('["a",1]', 'BYTES').message).toBe('inputs.x[1]: is 1; BYTES takes text.');
    expect(failure('[1,2]', 'BYTES').message).toBe('inputs.x[0]: is 1; BYTES takes text.');
  });

  it.each([
    ['[[1,2],[3]]', 'inputs.x[1]: has 1 element where its neighbours have 2; the array is ragged.'],
    ['[[[1],[2]],[[3],[4],[5]]]', 'inputs.x[1]: has 3 elements where its neighbours have 2; the array is ragged.'],
    ['[[[1,2],[3,4]],[[5,6],[7]]]', 'inputs.x[1][1]: has 1 element where its neighbours have 2; the array is ragged.'],
    ['[[],[1]]', 'inputs.x[1]: has 1 element where its neighbours have 0; the array is ragged.'],
    ['[1,[2]]', 'inputs.x[1]: is an array where its neighbours are single values.'],
    ['[[1],2]', 'inputs.x[1]: is 2 where its neighbours are arrays.'],
    ['[[1,2],[3,null]]', 'inputs.x[1][1]: is null; FP32 takes numbers.'],
    ['[1,"NaN"]', 'inputs.x[1]: is the text "NaN"; FP32 takes numbers.'],
    ['["a text that is rather long"]', 'inputs.x[0]: is the text "a text that is rathe…"; FP32 takes numbers.'],
    ['[{"b64":"AAAA"}]', 'inputs.x[0]: is an object; FP32 takes numbers.'],
    ['null', 'inputs.x: is null; FP32 takes numbers.'],
    ['{}', 'inputs.x: is an object; FP32 takes numbers.'],
  ])('says what is wrong with %s', (text, message) => {
    const error = failure(text, 'FP32');
    expect(error.code).toBe('INVALID_TENSOR');
    expect(error.message).toBe(message);
    expect(`${error.details[0]!.path}: ${error.details[0]!.message}.`).toBe(message);
  });

  it('throws only coded errors, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.json({ depthSize: 'medium' }),
        fc.constantFrom(...DTYPES),
        fc.option(fc.array(fc.integer({ min: -1, max: 4 }))),
        (text, dtype, shape) => {
          try {
            decode(text, dtype, shape ?? undefined);
          } catch (error) {
            expect(error).toMatchObject({ name: 'SlipwayError', code: 'INVALID_TENSOR' });
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
