import { describe, expect, it } from 'vitest';
import type { LoadedModel } from '../../../../src/engines/engine.ts';
import { onnxEngine } from '../../../../src/engines/onnx/onnx-engine.ts';
import type { Tensor } from '../../../../src/tensor/tensor.ts';
import { fixtureFolder, loadForTest, modelFolder } from '../../../helpers/fixture-models.ts';
import { floatInitializer, node, onnxModel, type OnnxModelOptions, tensorValue } from '../../../helpers/onnx-model.ts';
import { bytes, fp32, int64 } from '../../../helpers/tensors.ts';

async function loadBytes(bytesOfModel: Uint8Array, others: Record<string, Uint8Array> = {}, threads = 1): Promise<LoadedModel> {
  return loadForTest(onnxEngine, await modelFolder({ 'model.onnx': bytesOfModel, ...others }), 'onnx', { threads });
}

const load = (options: OnnxModelOptions): Promise<LoadedModel> => loadBytes(onnxModel(options));

async function failureOf(loading: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await loading.then(
    () => new Error('It loaded.'),
    (reason: unknown) => reason,
  );
  return error as { code: string; message: string };
}

function identity(type: 'FP32' | 'BF16' | 'BYTES', shape?: readonly (number | string | null)[]): OnnxModelOptions {
  return {
    inputs: [{ name: 'x', type, ...(shape && { shape }) }],
    outputs: [{ name: 'y', type, ...(shape && { shape }) }],
    nodes: [node('Identity', ['x'], ['y'])],
  };
}

const floatSequence = (name: string): object => ({ name, type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } } });

describe('signature of an ONNX model', () => {
  it('has -1 for symbolic and for missing dimensions', async () => {
    const { signature } = await load(identity('FP32', ['batch', null, 3]));
    expect(signature.inputs).toEqual([{ name: 'x', dtype: 'FP32', shape: [-1, -1, 3] }]);
    expect(signature.outputs).toEqual([{ name: 'y', dtype: 'FP32', shape: [-1, -1, 3] }]);
  });

  it('tells an open rank from a scalar', async () => {
    const open = await load(identity('FP32'));
    expect(open.signature).toEqual({
      inputs: [{ name: 'x', dtype: 'FP32', shape: null }],
      outputs: [{ name: 'y', dtype: 'FP32', shape: null }],
    });
    expect(await open.run(new Map([['x', fp32([1, 2], [1, 2, 1])]]), ['y'])).toEqual(new Map([['y', fp32([1, 2], [1, 2, 1])]]));
    const scalar = await load(identity('FP32', []));
    expect(scalar.signature.inputs).toEqual([{ name: 'x', dtype: 'FP32', shape: [] }]);
  });

  it('does not demand an input that has a default, as old files list their weights', async () => {
    for (const irVersion of [3, 8]) {
      const model = await load({
        inputs: [
          { name: 'x', type: 'FP32', shape: ['n'] },
          { name: 'three', type: 'FP32', shape: [] },
        ],
        outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
        nodes: [node('Mul', ['x', 'three'], ['y'])],
        initializers: [floatInitializer('three', [], [3])],
        irVersion,
        opset: 8,
      });
      expect(model.signature.inputs.map(({ name }) => name)).toEqual(['x']);
      expect(await model.run(new Map([['x', fp32([2])]]), ['y'])).toEqual(new Map([['y', fp32([6])]]));
    }
  });

  it('keeps the fixed sizes of a model without a batch', async () => {
    const model = await loadForTest(onnxEngine, fixtureFolder('fixed'), 'onnx');
    expect(model.signature.inputs[0]!.shape).toEqual([2, 3]);
  });

  it('leaves out an output that is no tensor and says so', async () => {
    const model = await load({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }, floatSequence('list')],
      nodes: [node('Neg', ['x'], ['y']), node('SequenceConstruct', ['x'], ['list'])],
    });
    expect(model.signature.outputs.map(({ name }) => name)).toEqual(['y']);
    expect(model.reason).toContain('"list" (sequence)');
    expect(await model.run(new Map([['x', fp32([2])]]), ['y'])).toEqual(new Map([['y', fp32([-2])]]));
  });

  it('refuses types that cannot be passed, and names the tensor and its type', async () => {
    expect(await failureOf(load(identity('BF16', ['n'])))).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/input "x".*bfloat16/),
    });
    const sequenceIn = load({
      inputs: [floatSequence('list')],
      outputs: [{ name: 'length', type: 'INT64', shape: [] }],
      nodes: [node('SequenceLength', ['list'], ['length'])],
    });
    expect(await failureOf(sequenceIn)).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/input "list".*sequence/),
    });
    const onlySequenceOut = load({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [floatSequence('list')],
      nodes: [node('SequenceConstruct', ['x'], ['list'])],
    });
    expect(await failureOf(onlySequenceOut)).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/output "list".*sequence/),
    });
  });
});

describe('files of an ONNX model', () => {
  const withExternalWeights = (location: string): Uint8Array =>
    onnxModel({
      inputs: [{ name: 'x', type: 'FP32', shape: [2] }],
      outputs: [{ name: 'y', type: 'FP32', shape: [2] }],
      nodes: [node('Mul', ['x', 'weights'], ['y'])],
      initializers: [
        {
          name: 'weights',
          dataType: 1,
          dims: [2],
          dataLocation: 1,
          externalData: [
            { key: 'location', value: location },
            { key: 'length', value: '8' },
          ],
        },
      ],
    });
  const weights = new Uint8Array(Float32Array.of(3, 4).buffer);

  it('may hold weights beside the model', async () => {
    const model = await loadBytes(withExternalWeights('weights.bin'), { 'weights.bin': weights });
    expect(await model.run(new Map([['x', fp32([1, 1])]]), ['y'])).toEqual(new Map([['y', fp32([3, 4])]]));
  });

  it.each([
    ['is missing', 'absent.bin', 'absent.bin'],
    ['is too short', 'short.bin', 'weights'],
    ['lies outside of the folder', '../weights.bin', '../weights.bin'],
    ['has an absolute path', '/etc/hostname', 'Absolute path'],
  ])('are refused when the weight file %s', async (_what, location, named) => {
    const { code, message } = await failureOf(loadBytes(withExternalWeights(location), { 'short.bin': weights.subarray(0, 3) }));
    expect(code).toBe('INVALID_MODEL');
    expect(message).toContain('model.onnx');
    expect(message).toContain(named);
    expect(message).not.toMatch(/onnxruntime_src|slipway-test|\.cc:|\n/);
  });

  it.each([
    ['is empty', new Uint8Array()],
    ['is something else', new TextEncoder().encode('<html>Not Found</html>')],
  ])('are refused when model.onnx %s', async (_what, content) => {
    const { code, message } = await failureOf(loadBytes(content));
    expect(code).toBe('INVALID_MODEL');
    expect(message).toMatch(/^model\.onnx cannot be loaded\. ONNX Runtime says: \S/);
    expect(message).not.toMatch(/onnxruntime_src|slipway-test/);
  });

  it.each([
    ['an operator', { ...identity('FP32', ['n']), nodes: [node('Frobnicate', ['x'], ['y'])] }, 'Frobnicate'],
    ['an IR version', { ...identity('FP32', ['n']), irVersion: 99 }, '99'],
    ['an opset', { ...identity('FP32', ['n']), opset: 99 }, '99'],
  ])('that need %s unknown here are told from damaged ones', async (_what, options, named) => {
    expect(await failureOf(load(options))).toMatchObject({ code: 'ENGINE_UNAVAILABLE', message: expect.stringContaining(named) });
  });
});

describe('a run of an ONNX model', () => {
  it('takes and gives strings as UTF-8', async () => {
    const model = await load(identity('BYTES', ['n']));
    const x = bytes(['', 'grüße 🙂', '\uFEFFmark']);
    expect(await model.run(new Map([['x', x]]), ['y'])).toEqual(new Map([['y', x]]));
  });

  it('refuses strings that ONNX Runtime would change in silence', async () => {
    const model = await load(identity('BYTES', ['n']));
    const withNul = bytes(['fine', 'a\0b']);
    const noUtf8: Tensor = { dtype: 'BYTES', shape: [1], data: [Uint8Array.of(0xff)] };
    await expect(model.run(new Map([['x', withNul]]), ['y'])).rejects.toMatchObject({
      code: 'INVALID_TENSOR',
      message: expect.stringMatching(/x\[1\].*NUL/),
    });
    await expect(model.run(new Map([['x', noUtf8]]), ['y'])).rejects.toMatchObject({
      code: 'INVALID_TENSOR',
      message: expect.stringMatching(/x\[0\].*UTF-8/),
    });
  });

  it('computes in FP16', async () => {
    const model = await load({
      inputs: [{ name: 'x', type: 'FP16', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP16', shape: ['n'] }],
      nodes: [node('Add', ['x', 'x'], ['y'])],
    });
    // 1.0 and 2.0 become 2.0 and 4.0.
    const answer = await model.run(new Map([['x', { dtype: 'FP16', shape: [2], data: Uint16Array.of(0x3c00, 0x4000) }]]), ['y']);
    expect(answer).toEqual(new Map([['y', { dtype: 'FP16', shape: [2], data: Uint16Array.of(0x4000, 0x4400) }]]));
  });

  it('may have names that are special in JavaScript', async () => {
    const model = await load({
      inputs: [{ name: '__proto__', type: 'FP32', shape: ['n'] }],
      outputs: [
        { name: '2', type: 'FP32', shape: ['n'] },
        { name: 'constructor', type: 'FP32', shape: ['n'] },
      ],
      nodes: [node('Identity', ['__proto__'], ['2']), node('Neg', ['__proto__'], ['constructor'])],
    });
    const answer = await model.run(new Map([['__proto__', fp32([1])]]), ['constructor', '2']);
    expect([...answer]).toEqual([
      ['constructor', fp32([-1])],
      ['2', fp32([1])],
    ]);
  });

  it('gives constants and passed-through inputs as memory of their own', async () => {
    const model = await load({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [
        { name: 'x', type: 'FP32', shape: ['n'] },
        { name: 'constant', type: 'FP32', shape: [2] },
        { name: 'y', type: 'FP32', shape: ['n'] },
      ],
      nodes: [node('Identity', ['x'], ['y'])],
      initializers: [floatInitializer('constant', [2], [3, 4])],
    });
    const x = fp32([1]);
    const first = await model.run(new Map([['x', x]]), ['x', 'constant', 'y']);
    for (const { data } of [x, ...first.values()]) (data as Float32Array).fill(99);
    expect(await model.run(new Map([['x', fp32([1])]]), ['x', 'constant', 'y'])).toEqual(
      new Map([
        ['x', fp32([1])],
        ['constant', fp32([3, 4])],
        ['y', fp32([1])],
      ]),
    );
    expect(first.get('y')).toEqual(fp32([99]));
  });

  it('carries a state from run to run, as a voice detector does', async () => {
    // The interface of such models: a chunk of sound, a state, and the sampling rate as a scalar of int64.
    const model = await load({
      inputs: [
        { name: 'input', type: 'FP32', shape: [null, null] },
        { name: 'state', type: 'FP32', shape: [2, null, 4] },
        { name: 'sr', type: 'INT64', shape: [] },
      ],
      outputs: [
        { name: 'output', type: 'FP32', shape: [null, 1] },
        { name: 'stateN', type: 'FP32', shape: [null, null, null] },
      ],
      nodes: [
        node('Cast', ['sr'], ['rate'], [{ name: 'to', type: 2, i: 1 }]),
        node(
          'ReduceMean',
          ['input'],
          ['mean'],
          [
            { name: 'axes', type: 7, ints: [1] },
            { name: 'keepdims', type: 2, i: 1 },
          ],
        ),
        node('Div', ['mean', 'rate'], ['step']),
        node('Add', ['state', 'step'], ['stateN']),
        node('ReduceMax', ['stateN'], ['most'], [{ name: 'keepdims', type: 2, i: 0 }]),
        node('Add', ['step', 'most'], ['output']),
      ],
    });
    expect(model.signature.inputs[2]).toEqual({ name: 'sr', dtype: 'INT64', shape: [] });
    const listen = (state: Tensor): ReturnType<LoadedModel['run']> =>
      model.run(
        new Map([
          ['input', fp32([8, 8, 8, 8], [1, 4])],
          ['state', state],
          ['sr', int64([4n], [])],
        ]),
        ['output', 'stateN'],
      );
    const first = await listen(
      fp32(
        Array.from({ length: 8 }, () => 0),
        [2, 1, 4],
      ),
    );
    expect(first.get('output')).toEqual(fp32([4], [1, 1]));
    const second = await listen(first.get('stateN')!);
    expect(second.get('output')).toEqual(fp32([6], [1, 1]));
    expect(second.get('stateN')).toEqual(
      fp32(
        Array.from({ length: 8 }, () => 4),
        [2, 1, 4],
      ),
    );
  });

  it('says which inputs do not fit each other when that is why a run fails', async () => {
    const model = await load({
      inputs: [
        { name: 'a', type: 'FP32', shape: ['batch', 2] },
        { name: 'b', type: 'FP32', shape: ['batch', 2] },
      ],
      outputs: [{ name: 'y', type: 'FP32', shape: ['batch', 2] }],
      nodes: [node('Add', ['a', 'b'], ['y'])],
    });
    const inputs = (rows: number): Map<string, Tensor> =>
      new Map([
        ['a', fp32([1, 2, 3, 4], [2, 2])],
        [
          'b',
          fp32(
            Array.from({ length: rows * 2 }, () => 1),
            [rows, 2],
          ),
        ],
      ]);
    await expect(model.run(inputs(3), ['y'])).rejects.toMatchObject({
      code: 'INPUT_MISMATCH',
      message:
        'The inputs do not fit each other: dimension 0 of the input "b" is 3, and dimension 0 of the input "a" is 2; the model names both "batch".',
    });
    // What ONNX Runtime can broadcast it still does.
    expect((await model.run(inputs(1), ['y'])).get('y')).toEqual(fp32([2, 3, 4, 5], [2, 2]));
  });

  it('says what failed in the terms of the model alone', async () => {
    const model = await load({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP32', shape: [2, 3] }],
      nodes: [node('Reshape', ['x', 'shape'], ['y'])],
      initializers: [{ name: 'shape', dataType: 7, dims: [2], int64Data: [2, 3] }],
    });
    await expect(model.run(new Map([['x', fp32([1, 2])]]), ['y'])).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/^ONNX Runtime failed: .*Reshape.*\{2\}, requested shape:\{2,3\}$/),
    });
    await expect(model.run(new Map([['x', fp32([1, 2])]]), ['y'])).rejects.toMatchObject({
      message: expect.not.stringContaining('onnxruntime_src'),
    });
  });

  it('answers alike on several threads', async () => {
    const model = await loadBytes(
      onnxModel({
        inputs: [tensorValue({ name: 'x', type: 'FP32', shape: ['n', 64] })],
        outputs: [tensorValue({ name: 'y', type: 'FP32', shape: ['n', 64] })],
        nodes: [node('MatMul', ['x', 'kernel'], ['y'])],
        initializers: [
          floatInitializer(
            'kernel',
            [64, 64],
            Array.from({ length: 64 * 64 }, (_, index) => (index % 65 === 0 ? 3 : 0)),
          ),
        ],
      }),
      {},
      2,
    );
    const values = Array.from({ length: 256 * 64 }, (_, index) => index % 251);
    expect(await model.run(new Map([['x', fp32(values, [256, 64])]]), ['y'])).toEqual(
      new Map([
        [
          'y',
          fp32(
            values.map((value) => value * 3),
            [256, 64],
          ),
        ],
      ]),
    );
  });
});
