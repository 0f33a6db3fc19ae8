import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../../src/errors/slipway-error.ts';
import { splitBody } from '../../../../src/protocols/kserve/rest/binary-part.ts';
import { decodeInferRequest, type RestInferRequest } from '../../../../src/protocols/kserve/rest/decode-infer.ts';
import { createInferHeadReader, readInferHead } from '../../../../src/protocols/kserve/rest/infer-head.ts';
import { decodeRawRequest } from '../../../../src/protocols/kserve/rest/decode-raw.ts';
import type { Signature } from '../../../../src/tensor/signature.ts';

const NOTHING = Buffer.alloc(0);

function decode(body: unknown, binary: Uint8Array = NOTHING): RestInferRequest {
  const json = typeof body === 'string' ? body : JSON.stringify(body);
  return decodeInferRequest(readInferHead(Buffer.from(json), 64), Buffer.from(binary));
}

/** The code and message of what a call throws. */
function failureOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof SlipwayError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const x = { name: 'x', datatype: 'FP32', shape: [3] };

describe('createInferHeadReader', () => {
  const head = (more: object = {}, parameters: object = { binary_data_size: 12 }): Buffer =>
    Buffer.from(JSON.stringify({ inputs: [{ ...x, parameters }], ...more }));

  it('reads JSON again that it does not know, and remembers what has its elements behind it', () => {
    const read = createInferHeadReader(64);
    expect(read(head())).toBe(read(head()));
    expect(read(head())).toEqual(readInferHead(head(), 64));
    expect(read(head({ outputs: [{ name: 'y' }] })).outputs).toHaveLength(1);
    expect(read(head({}, { binary_data_size: 13 })).inputs[0]!.elements).toBe(13);
  });

  it('remembers no request with an id or with data, none that is long, and nothing of one that is wrong', () => {
    const read = createInferHeadReader(64);
    for (const json of [head({ id: '1' }), head({ parameters: { note: 'x'.repeat(5_000) } })]) expect(read(json)).not.toBe(read(json));
    const withData = Buffer.from(JSON.stringify({ inputs: [{ ...x, data: [1, 2, 3] }] }));
    expect(read(withData)).not.toBe(read(withData));
    for (let time = 0; time < 2; time += 1) expect(failureOf(() => read(Buffer.from('{"inputs":[{}]}')))).toMatch(/^INVALID_REQUEST/);
  });

  it('forgets, so that clients with ever new requests do not fill the memory', () => {
    const read = createInferHeadReader(64);
    const first = read(head());
    for (let size = 100; size < 400; size += 1) read(head({}, { binary_data_size: size }));
    expect(read(head())).not.toBe(first);
    expect(read(head())).toEqual(first);
  });
});

describe('a V2 request in JSON', () => {
  it('has its data flat or nested, and keeps 64-bit integers exact', () => {
    const { inputs, id, outputs, binaryOutputs, timeoutUs } = decode(
      '{"id":"42","parameters":{"priority":1,"timeout":5000,"unknown":{"a":[1]}},"inputs":[' +
        '{"name":"flat","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]},' +
        '{"name":"nested","datatype":"FP32","shape":[2,2],"data":[[1,2],[3,4]]},' +
        '{"name":"big","datatype":"INT64","shape":[2],"data":[9007199254740993,-9223372036854775808]},' +
        '{"name":"none","datatype":"FP32","shape":[0,4],"data":[]},' +
        '{"name":"text","datatype":"BYTES","shape":[1],"data":["Grüße"]}],' +
        '"outputs":[{"name":"y","parameters":{"classification":2}},{"name":"z","parameters":{"binary_data":true}}]}',
    );
    expect(id).toBe('42');
    expect(timeoutUs).toBe(5000);
    expect(binaryOutputs).toBe(false);
    expect(outputs).toEqual([
      { name: 'y', classification: 2, binary: undefined },
      { name: 'z', classification: 0, binary: true },
    ]);
    const square = { dtype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
    expect(inputs.get('flat')).toEqual(square);
    expect(inputs.get('nested')).toEqual(square);
    expect(inputs.get('big')!.data).toEqual(BigInt64Array.of(9007199254740993n, -9223372036854775808n));
    expect(inputs.get('none')).toEqual({ dtype: 'FP32', shape: [0, 4], data: new Float32Array() });
    expect(Buffer.from(inputs.get('text')!.data[0] as Uint8Array).toString()).toBe('Grüße');
  });

  it('may say NaN and Infinity as Triton’s clients do', () => {
    expect(decode('{"inputs":[{"name":"x","datatype":"FP32","shape":[3],"data":[NaN,Infinity,-Infinity]}]}').inputs.get('x')!.data).toEqual(
      Float32Array.of(NaN, Infinity, -Infinity),
    );
  });

  it('takes a tensor by the name __proto__', () => {
    const body =
      '{"inputs":[{"name":"__proto__","datatype":"BOOL","shape":[1],"data":[true],"parameters":{"__proto__":{"binary_data_size":3}}}]}';
    expect([...decode(body).inputs.keys()]).toEqual(['__proto__']);
  });

  it.each([
    ['[]', 'INVALID_REQUEST: The body must be a JSON object'],
    ['', 'INVALID_JSON'],
    ['{"inputs":[{"name":"x"', 'INVALID_JSON'],
    [`${'['.repeat(100)}${']'.repeat(100)}`, 'INVALID_JSON'],
    [{}, 'INVALID_REQUEST: inputs: is missing'],
    [{ inputs: { x: [1] } }, 'INVALID_REQUEST: inputs: must be an array'],
    [{ inputs: [1] }, 'INVALID_REQUEST: inputs: must be an array'],
    [{ inputs: ['x'] }, 'INVALID_REQUEST: inputs[0]'],
    [{ inputs: [{ ...x, name: 7, data: [1, 2, 3] }] }, 'INVALID_REQUEST: inputs[0].name'],
    [{ inputs: [{ ...x, datatype: 'FLOAT', data: [1, 2, 3] }] }, 'INVALID_REQUEST: inputs[0].datatype'],
    [{ inputs: [{ ...x, shape: [-3], data: [1, 2, 3] }] }, 'INVALID_REQUEST: inputs[0].shape[0]: must be 0 or more'],
    [{ inputs: [{ ...x, shape: [1.5], data: [1, 2, 3] }] }, 'INVALID_REQUEST: inputs[0].shape[0]: must be a whole number'],
    [{ inputs: [{ ...x, shape: [2 ** 40, 2 ** 40], data: [1] }] }, 'INVALID_TENSOR: inputs.x'],
    [{ inputs: [{ ...x, shape: [250_000_000], data: [1] }] }, 'INVALID_TENSOR: inputs.x: holds 1 element'],
    [{ inputs: [{ ...x, data: [1, 2] }] }, 'INVALID_TENSOR: inputs.x: holds 2 elements'],
    [{ inputs: [{ ...x, data: [1, 2, 3, 4] }] }, 'INVALID_TENSOR: inputs.x: holds 4 elements'],
    [{ inputs: [{ ...x, data: [1, [2], 3] }] }, 'INVALID_TENSOR'],
    [{ inputs: [{ ...x, data: [1, 'a', 3] }] }, 'INVALID_TENSOR: inputs.x[1]'],
    [{ inputs: [{ ...x, datatype: 'UINT8', data: [1, 256, 3] }] }, 'INVALID_TENSOR: inputs.x[1]: 256 is out of range'],
    [{ inputs: [{ ...x, datatype: 'FP16', data: [1, 2, 3] }] }, 'INVALID_TENSOR: inputs.x: FP16 has no JSON form'],
    [{ inputs: [x] }, 'INVALID_REQUEST: inputs.x: has neither data nor binary_data_size'],
    [
      {
        inputs: [
          { ...x, data: [1, 2, 3] },
          { ...x, data: [1, 2, 3] },
        ],
      },
      'INVALID_REQUEST: inputs[1]: "x" is there twice',
    ],
    [{ inputs: [{ ...x, parameters: { shared_memory_region: 'a' } }] }, 'NOT_SUPPORTED: inputs.x: shared memory'],
    [{ inputs: [], parameters: { timeout: -1 } }, 'INVALID_REQUEST: parameters.timeout: must be a whole number'],
    [{ inputs: [], parameters: { timeout: 'soon' } }, 'INVALID_REQUEST: parameters.timeout'],
    [{ inputs: [], parameters: { binary_data_output: 1 } }, 'INVALID_REQUEST: parameters.binary_data_output: must be true or false'],
    [{ inputs: [], outputs: [{ name: 'y', parameters: { classification: 1.5 } }] }, 'INVALID_REQUEST: outputs.y.parameters.classification'],
    [{ inputs: [], outputs: ['y'] }, 'INVALID_REQUEST: outputs[0]'],
    [{ inputs: [], id: 7 }, 'INVALID_REQUEST: id'],
  ])('refuses %j', (body, expected) => {
    expect(failureOf(() => decode(body))).toContain(expected);
  });
});

describe('a V2 request with binary tensors', () => {
  const three = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  const binary = (size: unknown): object => ({ ...x, parameters: { binary_data_size: size } });

  it('takes them from behind the JSON in the order of the inputs, between those in JSON', () => {
    const { inputs, binaryOutputs } = decode(
      {
        parameters: { binary_data_output: true },
        inputs: [
          { name: 'flags', datatype: 'BOOL', shape: [3], parameters: { binary_data_size: 3 } },
          { name: 'json', datatype: 'INT32', shape: [1], data: [7] },
          binary(12),
        ],
      },
      Buffer.concat([Uint8Array.of(1, 0, 1), three]),
    );
    expect(inputs.get('flags')!.data).toEqual(Uint8Array.of(1, 0, 1));
    expect(inputs.get('json')!.data).toEqual(Int32Array.of(7));
    expect(inputs.get('x')!.data).toEqual(Float32Array.of(1, 2, 3));
    expect(binaryOutputs).toBe(true);
  });

  it.each([
    [binary(13), three, 'binary_data_size is 13, but 12 bytes'],
    [binary(13), NOTHING, 'is the header Inference-Header-Content-Length missing?'],
    [binary(2 ** 30), three, 'binary_data_size is 1073741824, but 12 bytes'],
    [binary(8), three, 'INVALID_TENSOR: inputs.x: has 8 bytes; FP32 [3] takes 12'],
    [binary(-12), three, 'must be a whole number'],
    [binary('12'), three, 'must be a whole number'],
    [{ ...binary(12), data: [1, 2, 3] }, three, 'has both data and binary_data_size'],
    [{ ...binary(12), shape: [2 ** 51, 2 ** 10] }, three, 'INVALID_TENSOR: inputs.x'],
    [{ ...binary(12), datatype: 'BYTES' }, three, 'INVALID_TENSOR: inputs.x'],
    [{ ...binary(12), datatype: 'BYTES', shape: [1_000_000_000] }, three, 'INVALID_TENSOR: inputs.x'],
    [binary(12), Buffer.concat([three, three]), 'The body has 12 bytes after its last tensor'],
  ])('refuses %j', (input, bytes, expected) => {
    expect(failureOf(() => decode({ inputs: [input] }, bytes))).toContain(expected);
  });

  it('is cut where the header says, and refused when that is beyond its end', () => {
    const body = Buffer.from('{}abc');
    expect(splitBody(body, undefined)).toEqual({ json: body, binary: NOTHING });
    expect(splitBody(body, '2')).toEqual({ json: Buffer.from('{}'), binary: Buffer.from('abc') });
    expect(splitBody(body, '5')).toEqual({ json: body, binary: NOTHING });
    expect(splitBody(body, '0')).toEqual({ json: undefined, binary: body });
    for (const wrong of ['6', '-1', '1e1', '', 'abc', '9'.repeat(40), ['2', '2']]) {
      expect(failureOf(() => splitBody(body, wrong))).toContain('INVALID_REQUEST: The header Inference-Header-Content-Length');
    }
  });

  it('never fails but with a coded error, whatever the bytes are', () => {
    const value = fc.json({ maxDepth: 5 });
    const tensor = fc.record({
      name: fc.string(),
      datatype: fc.constantFrom('FP32', 'BYTES', 'BOOL', 'X'),
      shape: fc.array(fc.integer()),
      data: fc.array(fc.double()),
    });
    const body = fc.oneof(
      value,
      fc.string(),
      fc.record({ inputs: fc.array(tensor) }).map((each) => JSON.stringify(each)),
    );
    fc.assert(
      fc.property(body, fc.uint8Array({ maxLength: 40 }), (json, bytes) => {
        try {
          decode(json, bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SlipwayError);
        }
      }),
    );
  });
});

describe('a raw body', () => {
  const signature = (dtype: Signature['inputs'][number]['dtype'], shape: number[] | null): Signature => ({
    inputs: [{ name: 'x', dtype, shape }],
    outputs: [],
  });
  const bytes = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);

  it.each([
    [[6], [6]],
    [[-1], [6]],
    [
      [-1, 3],
      [2, 3],
    ],
    [
      [2, -1],
      [2, 3],
    ],
    [
      [-1, -1, 2],
      [1, 3, 2],
    ],
  ])('fills the shape %j as %j', (shape, filled) => {
    const { inputs, binaryOutputs } = decodeRawRequest(bytes, signature('FP32', shape));
    expect(inputs.get('x')).toEqual({ dtype: 'FP32', shape: filled, data: Float32Array.of(1, 2, 3, 4, 5, 6) });
    expect(binaryOutputs).toBe(true);
  });

  it('is one element of BYTES, without its length', () => {
    for (const shape of [[1], [-1], [-1, 1]]) {
      const { data, shape: filled } = decodeRawRequest(Buffer.from('text'), signature('BYTES', shape)).inputs.get('x')!;
      expect(filled).toEqual(shape.map(() => 1));
      expect(Buffer.from(data[0] as Uint8Array).toString()).toBe('text');
    }
  });

  it('is refused when it is empty: no batch of no examples is meant', () => {
    for (const dtype of ['FP32', 'BYTES'] as const)
      expect(failureOf(() => decodeRawRequest(Buffer.alloc(0), signature(dtype, [-1])))).toContain('INPUT_MISMATCH: The body is empty');
  });

  it.each([
    [signature('FP32', [4]), 'INVALID_TENSOR: inputs.x: has 24 bytes; FP32 [4] takes 16'],
    [signature('FP32', [-1, 4]), 'INVALID_TENSOR'],
    [signature('FP32', [3, -1, -1]), 'INPUT_MISMATCH'],
    [signature('FP32', [-1, -1, -1]), 'INPUT_MISMATCH'],
    [signature('FP32', null), 'INPUT_MISMATCH: The shape of the input "x", [...]'],
    [signature('BYTES', [2]), 'INPUT_MISMATCH'],
    [
      { inputs: [...signature('FP32', [1]).inputs, ...signature('FP32', [1]).inputs], outputs: [] },
      'INPUT_MISMATCH: The model has 2 inputs',
    ],
    [{ inputs: [], outputs: [] }, 'INPUT_MISMATCH: The model has 0 inputs'],
  ])('is refused where its shape cannot be told: %j', (model, expected) => {
    expect(failureOf(() => decodeRawRequest(bytes, model))).toContain(expected);
  });
});
