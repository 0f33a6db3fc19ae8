import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeviceKind, Engine, LoadedModel } from '../../src/engines/engine.ts';
import { onnxEngine } from '../../src/engines/onnx/onnx-engine.ts';
import { tensorflowEngine } from '../../src/engines/tensorflow/tensorflow-engine.ts';
import { createTfjsEngine } from '../../src/engines/tfjs/tfjs-engine.ts';
import type { ModelFormat } from '../../src/packages/formats.ts';
import { type DType, STORAGE } from '../../src/tensor/dtype.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { fixtureFolder, loadForTest } from '../helpers/fixture-models.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../helpers/native-tensorflow.ts';
import { bytes, fp32 } from '../helpers/tensors.ts';
import { hasWebGpu, NEEDS_WEBGPU } from '../helpers/webgpu.ts';

const BROKEN: Readonly<Record<Exclude<ModelFormat, 'keras' | 'safetensors'>, readonly [fixture: string, file: string]>> = {
  onnx: ['broken-onnx', 'model.onnx'],
  'tfjs-layers': ['broken-tfjs', 'group1-shard1of1.bin'],
  'tfjs-graph': ['broken-tfjs', 'group1-shard1of1.bin'],
  'saved-model': ['broken-saved', 'saved_model.pb'],
};

/** One engine with one backend and one format, and the fixtures that hold the golden models in that format. */
interface Target {
  readonly title: string;
  readonly engine: Engine;
  readonly backend: string;
  readonly format: keyof typeof BROKEN;
  readonly timesThree: string;
  /** Layers models have a batch dimension and at least one more. */
  readonly columns: readonly number[];
  readonly multi: string;
  /** The outputs of `multi` in the model's own order. */
  readonly multiOutputs?: readonly [string, string];
  /** Undefined where the format has no scalars. */
  readonly scalar?: string;
  readonly dtypes?: string;
  readonly takesEmptyBatch: boolean;
  /** Numbers below the smallest normal one count as zero, which is faster. */
  readonly flushesSubnormals?: boolean;
  /** The device that is asked for. */
  readonly device?: DeviceKind;
}

const onnx = {
  engine: onnxEngine,
  format: 'onnx',
  timesThree: 'times-three',
  columns: [],
  multi: 'multi',
  scalar: 'scalar',
  dtypes: 'dtypes',
} as const;
const graph = {
  format: 'tfjs-graph',
  timesThree: 'times-three-graph',
  columns: [],
  multi: 'multi-graph',
  scalar: 'scalar-graph',
  dtypes: 'dtypes-graph',
} as const;
// tfjs cuts the input of a layers model into batches, of which an empty one has none.
const layers = {
  format: 'tfjs-layers',
  timesThree: 'times-three-layers',
  columns: [1],
  multi: 'multi-layers',
  takesEmptyBatch: false,
} as const;

// Protobuf gives a map no order, so that of the names is taken.
const saved = {
  engine: tensorflowEngine,
  format: 'saved-model',
  timesThree: 'times-three-saved',
  columns: [],
  multi: 'multi-saved',
  multiOutputs: ['difference', 'sum'],
  scalar: 'scalar-saved',
  dtypes: 'dtypes-saved',
  takesEmptyBatch: true,
  flushesSubnormals: true,
} as const;

const wasm = createTfjsEngine({ backends: ['wasm'] });
const cpu = createTfjsEngine({ backends: ['cpu'] });
const tensorflow = createTfjsEngine({ backends: ['tensorflow'] });
const webgpu = createTfjsEngine({ backends: ['webgpu'] });

const TARGETS: readonly Target[] = [
  { title: 'onnx', backend: 'cpu', takesEmptyBatch: true, ...onnx },
  { title: 'onnx on webgpu', backend: 'webgpu', device: 'webgpu', takesEmptyBatch: true, flushesSubnormals: true, ...onnx },
  { title: 'tfjs wasm, graph model', engine: wasm, backend: 'wasm', takesEmptyBatch: true, ...graph },
  { title: 'tfjs cpu, graph model', engine: cpu, backend: 'cpu', takesEmptyBatch: true, ...graph },
  { title: 'tfjs wasm, layers model', engine: wasm, backend: 'wasm', ...layers },
  { title: 'tfjs cpu, layers model', engine: cpu, backend: 'cpu', ...layers },
  {
    title: 'tfjs tensorflow, graph model',
    engine: tensorflow,
    backend: 'tensorflow',
    takesEmptyBatch: true,
    flushesSubnormals: true,
    ...graph,
  },
  { title: 'tfjs tensorflow, layers model', engine: tensorflow, backend: 'tensorflow', flushesSubnormals: true, ...layers },
  {
    title: 'tfjs webgpu, graph model',
    engine: webgpu,
    backend: 'webgpu',
    device: 'webgpu',
    takesEmptyBatch: true,
    ...graph,
  },
  { title: 'tfjs webgpu, layers model', engine: webgpu, backend: 'webgpu', device: 'webgpu', flushesSubnormals: true, ...layers },
  { title: 'tensorflow, SavedModel', backend: 'cpu', ...saved },
];

/** What a target needs and this machine does not have; empty when nothing is missing. */
function missingFor({ engine, device }: Target): string {
  if (device === 'webgpu' && !hasWebGpu) return ` (${NEEDS_WEBGPU})`;
  return (engine === tensorflow || engine === tensorflowEngine) && tensorflowFolder === undefined ? ` (${NEEDS_TENSORFLOW})` : '';
}

async function run(model: LoadedModel, inputs: Record<string, Tensor>, outputs: readonly string[]): Promise<Record<string, Tensor>> {
  return Object.fromEntries(await model.run(new Map(Object.entries(inputs)), outputs));
}

/** Values of a dtype that show its width and sign. */
function samplesOf(dtype: DType): Tensor {
  if (dtype === 'BYTES') return bytes(['', 'a', 'grüße 🙂', 'x'.repeat(300)]);
  if (dtype === 'BOOL') return { dtype, shape: [3], data: Uint8Array.of(1, 0, 1) };
  const Storage = STORAGE[dtype];
  // All bits set, the highest one, and a few low ones; for floats a NaN is among them, so bytes are compared.
  const raw = new Uint8Array(Storage.BYTES_PER_ELEMENT * 4);
  raw.fill(0xff, 0, Storage.BYTES_PER_ELEMENT);
  raw[Storage.BYTES_PER_ELEMENT * 2 - 1] = 0x80;
  raw[Storage.BYTES_PER_ELEMENT * 2] = 0x05;
  return { dtype, shape: [4], data: new Storage(raw.buffer) };
}

function bytesOf({ data }: Tensor): unknown {
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')
    : data.map((element) => Buffer.from(element).toString());
}

function conforms(target: Target): void {
  const load = (fixture: string): Promise<LoadedModel> =>
    loadForTest(target.engine, fixtureFolder(fixture), target.format, { device: target.device });
  const batch = (values: readonly number[]): Tensor => fp32(values, [values.length, ...target.columns]);

  it('says its backend, its device and why', async () => {
    const model = await load(target.timesThree);
    expect(model).toMatchObject({ backend: target.backend, device: target.device ?? 'cpu' });
    expect(model.reason).toMatch(/\.$/);
  });

  it('reads the signature from the file', async () => {
    const shape = [-1, ...target.columns];
    expect((await load(target.timesThree)).signature).toEqual({
      inputs: [{ name: 'x', dtype: 'FP32', shape }],
      outputs: [{ name: 'y', dtype: 'FP32', shape }],
    });
    const value = (name: string): unknown => ({ name, dtype: 'FP32', shape: [-1, 2] });
    expect((await load(target.multi)).signature).toEqual({
      inputs: [value('a'), value('b')],
      outputs: (target.multiOutputs ?? ['sum', 'difference']).map(value),
    });
  });

  it('answers batches of any size', async () => {
    const model = await load(target.timesThree);
    for (const size of [1, 2, 33, 1000]) {
      const values = Array.from({ length: size }, (_, index) => index - 1.5);
      const { y } = await run(model, { x: batch(values) }, ['y']);
      expect(y).toEqual(batch(values.map((value) => value * 3)));
    }
  });

  it('multiplies any floats by three', async () => {
    const model = await load(target.timesThree);
    const kept = (value: number): number => (target.flushesSubnormals === true && Math.abs(value) < 2 ** -126 ? 0 : value);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 40 }), async (values) => {
        const { y } = await run(model, { x: batch(values) }, ['y']);
        // Negative zero is compared as zero: adding up a dot product loses its sign.
        expect(Array.from(y!.data as Float32Array, (value) => value + 0)).toEqual(
          values.map((value) => kept(Math.fround(kept(value) * 3)) + 0),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('takes several inputs and gives several outputs', async () => {
    const model = await load(target.multi);
    const inputs = { a: fp32([1, 2, 3, 4], [2, 2]), b: fp32([10, 20, 30, 40], [2, 2]) };
    expect(await run(model, inputs, ['sum', 'difference'])).toEqual({
      sum: fp32([11, 22, 33, 44], [2, 2]),
      difference: fp32([-9, -18, -27, -36], [2, 2]),
    });
  });

  it('takes inputs in any order', async () => {
    const model = await load(target.multi);
    const answer = await run(model, { b: fp32([1, 1], [1, 2]), a: fp32([5, 6], [1, 2]) }, ['difference']);
    expect(answer).toEqual({ difference: fp32([4, 5], [1, 2]) });
  });

  it('gives exactly the wanted outputs, in the wanted order', async () => {
    const model = await load(target.multi);
    const inputs = new Map([
      ['a', fp32([1, 2], [1, 2])],
      ['b', fp32([3, 4], [1, 2])],
    ]);
    expect([...(await model.run(inputs, ['difference'])).keys()]).toEqual(['difference']);
    expect([...(await model.run(inputs, ['difference', 'sum'])).keys()]).toEqual(['difference', 'sum']);
    expect([...(await model.run(inputs, [])).keys()]).toEqual([]);
  });

  it('hands over outputs that later runs and changed inputs leave alone', async () => {
    const model = await load(target.timesThree);
    const x = batch([1, 2]);
    const { y } = await run(model, { x }, ['y']);
    (x.data as Float32Array).fill(9);
    await run(model, { x }, ['y']);
    expect(y).toEqual(batch([3, 6]));
  });

  it('reads inputs that are a part of a larger buffer', async () => {
    const model = await load(target.timesThree);
    const data = Float32Array.of(7, 1, 2, 7).subarray(1, 3);
    const { y } = await run(model, { x: { dtype: 'FP32', shape: [2, ...target.columns], data } }, ['y']);
    expect(y).toEqual(batch([3, 6]));
  });

  it.runIf(target.scalar)('takes and gives scalars', async () => {
    const model = await load(target.scalar!);
    expect(model.signature).toEqual({
      inputs: [{ name: 'x', dtype: 'FP32', shape: [] }],
      outputs: [{ name: 'y', dtype: 'FP32', shape: [] }],
    });
    expect(await run(model, { x: fp32([2.5], []) }, ['y'])).toEqual({ y: fp32([7.5], []) });
  });

  it.runIf(target.takesEmptyBatch)('answers an empty batch with an empty batch', async () => {
    const model = await load(target.timesThree);
    expect(await run(model, { x: batch([]) }, ['y'])).toEqual({ y: batch([]) });
  });

  it.runIf(!target.takesEmptyBatch)('refuses an empty batch with a code', async () => {
    const model = await load(target.timesThree);
    await expect(run(model, { x: batch([]) }, ['y'])).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
  });

  it.runIf(target.dtypes)('carries each of its dtypes bit by bit', async () => {
    const model = await load(target.dtypes!);
    const inputs = Object.fromEntries(model.signature.inputs.map(({ name, dtype }) => [name, samplesOf(dtype)]));
    const answer = await run(
      model,
      inputs,
      model.signature.outputs.map(({ name }) => name),
    );
    for (const { name, dtype } of model.signature.inputs) {
      const output = answer[`${name}_out`]!;
      expect(output).toMatchObject({ dtype, shape: inputs[name]!.shape });
      expect(output.data.constructor).toBe(inputs[name]!.data.constructor);
      expect(bytesOf(output), name).toEqual(bytesOf(inputs[name]!));
    }
  });

  it.runIf(target.dtypes)('carries empty tensors of each dtype', async () => {
    const model = await load(target.dtypes!);
    const emptyOf = (dtype: DType): Tensor => ({ dtype, shape: [0], data: dtype === 'BYTES' ? [] : new STORAGE[dtype](0) });
    const inputs = Object.fromEntries(model.signature.inputs.map(({ name, dtype }) => [name, emptyOf(dtype)]));
    const answer = await run(
      model,
      inputs,
      model.signature.outputs.map(({ name }) => name),
    );
    for (const { name, dtype } of model.signature.inputs) expect(answer[`${name}_out`], name).toEqual(emptyOf(dtype));
  });

  it('codes a failed run and answers the next one', async () => {
    const model = await load(target.multi);
    const wrong = { a: fp32([1, 2, 3], [1, 3]), b: fp32([1, 2], [1, 2]) };
    await expect(run(model, wrong, ['sum'])).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(/failed: ./),
    });
    const right = { a: fp32([1, 2], [1, 2]), b: fp32([1, 2], [1, 2]) };
    expect(await run(model, right, ['sum'])).toEqual({ sum: fp32([2, 4], [1, 2]) });
  });

  it('refuses a folder without the model', async () => {
    const empty = fixtureFolder(target.format === 'onnx' ? 'times-three-layers' : 'times-three');
    await expect(target.engine.load({ folder: empty, format: target.format, threads: 1, tensorflowFolder })).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringMatching(/^(model\.(onnx|json)|saved_model\.pb) is missing/),
    });
  });

  it('refuses a damaged model and names the file', async () => {
    const [fixture, file] = BROKEN[target.format];
    await expect(
      target.engine.load({ folder: fixtureFolder(fixture), format: target.format, threads: 1, tensorflowFolder }),
    ).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining(file),
    });
  });
}

for (const target of TARGETS) {
  describe.skipIf(missingFor(target) !== '')(`${target.title}${missingFor(target)}`, () => {
    conforms(target);
  });
}
