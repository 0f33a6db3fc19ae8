import { describe, expect, it } from 'vitest';
import { CATALOGUE, ERROR_KINDS, type ErrorCode } from '../../../../src/errors/catalogue.ts';
import { SlipwayError } from '../../../../src/errors/slipway-error.ts';
import type { RestInferRequest } from '../../../../src/protocols/kserve/rest/decode-infer.ts';
import { checkOutputForms, encodeInferAnswer } from '../../../../src/protocols/kserve/rest/encode-infer.ts';
import { encodeV2Error, V2_STATUS } from '../../../../src/protocols/kserve/rest/errors.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { bytes, fp32, int64 } from '../../../helpers/tensors.ts';

const PLAIN: RestInferRequest = {
  id: undefined,
  inputs: new Map(),
  outputs: [],
  binaryOutputs: false,
  timeoutUs: undefined,
  priority: undefined,
};

function answer(outputs: Record<string, Tensor>, request: Partial<RestInferRequest> = {}): ReturnType<typeof encodeInferAnswer> {
  return encodeInferAnswer(
    {
      model: 'm',
      version: 3,
      times: { startedAt: 0, queueMs: 0, computeMs: 0, totalMs: 0 },
      run: { rows: 1, leads: true },
      outputs: new Map(Object.entries(outputs)),
    },
    { ...PLAIN, ...request },
  );
}

describe('a V2 answer', () => {
  it('is JSON with flat data, byte for byte', () => {
    const { payload, contentType, headers } = answer(
      { y: fp32([0.1, 2, 3, 4], [2, 2]), n: int64([9007199254740993n]), t: bytes(['Grüße', '"']) },
      { id: 'a"b' },
    );
    expect(payload).toBe(
      '{"id":"a\\"b","model_name":"m","model_version":"3","outputs":[' +
        '{"name":"y","datatype":"FP32","shape":[2,2],"data":[0.1,2,3,4]},' +
        '{"name":"n","datatype":"INT64","shape":[1],"data":[9007199254740993]},' +
        '{"name":"t","datatype":"BYTES","shape":[2],"data":["Grüße","\\""]}]}',
    );
    expect(contentType).toBe('application/json');
    expect(headers).toBeUndefined();
  });

  it('has binary outputs behind its JSON, the length of which is in a header', () => {
    const { payload, contentType, headers } = answer(
      { y: fp32([1, 2]), ü: fp32([3]), t: bytes(['ab']) },
      { binaryOutputs: true, outputs: [{ name: 'ü', classification: 0, binary: false }] },
    );
    const json =
      '{"model_name":"m","model_version":"3","outputs":[' +
      '{"name":"y","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}},' +
      '{"name":"ü","datatype":"FP32","shape":[1],"data":[3]},' +
      '{"name":"t","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}}]}';
    expect(contentType).toBe('application/octet-stream');
    expect(headers).toEqual({ 'inference-header-content-length': String(Buffer.byteLength(json)) });
    expect(payload).toEqual(
      Buffer.concat([Buffer.from(json), new Uint8Array(Float32Array.of(1, 2).buffer), Uint8Array.of(2, 0, 0, 0), Buffer.from('ab')]),
    );
  });

  it('is refused where JSON has no form for it', () => {
    const damaged: Tensor = { dtype: 'BYTES', shape: [1], data: [Uint8Array.of(0xff)] };
    expect(() => answer({ t: damaged })).toThrow('not UTF-8');
    expect(answer({ t: damaged }, { binaryOutputs: true }).status).toBe(200);
    const signature = {
      inputs: [],
      outputs: [
        { name: 'h', dtype: 'FP16' as const, shape: [1] },
        { name: 'y', dtype: 'FP32' as const, shape: [1] },
      ],
    };
    const asked = (name: string, binary?: boolean, classification = 0): RestInferRequest => ({
      ...PLAIN,
      outputs: [{ name, binary, classification }],
    });
    expect(() => checkOutputForms(PLAIN, signature)).toThrow('"h" is FP16, which has no JSON form');
    expect(() => checkOutputForms(asked('h'), signature)).toThrow('"h" is FP16');
    for (const fine of [asked('y'), asked('h', true), asked('h', undefined, 2), { ...PLAIN, binaryOutputs: true }]) {
      expect(() => checkOutputForms(fine, signature)).not.toThrow();
    }
  });
});

describe('V2 errors', () => {
  it('have a status for every kind', () => {
    expect(Object.keys(V2_STATUS).toSorted()).toEqual(ERROR_KINDS.toSorted());
  });

  it.each(Object.keys(CATALOGUE) as ErrorCode[])('%s has one key', (code) => {
    const { status, headers, body } = encodeV2Error(
      new SlipwayError(code, 'what is "wrong"', { details: [{ path: 'a', message: 'b' }], retryAfterMs: 1 }),
    );
    expect(status).toBe(V2_STATUS[CATALOGUE[code].kind]);
    expect(JSON.parse(body)).toEqual({ error: 'what is "wrong"' });
    expect(headers).toEqual({ 'content-type': 'application/json', 'retry-after': '1' });
  });
});
