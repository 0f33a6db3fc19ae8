import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { checkInputs, vocabulariesOf } from '../../../src/jobs/child/compile/check-inputs.ts';
import { compareOutputs, compareSignatures } from '../../../src/jobs/child/compile/compare.ts';
import { compileVersion } from '../../../src/jobs/child/compile/compile-version.ts';
import type { CompileResult } from '../../../src/compilation/result.ts';
import { compileLayersModel } from '../../../src/compiler/compile.ts';
import { decodeWeights } from '../../../src/packages/tfjs/decode-weights.ts';
import { fixtureFolder, modelFolder } from '../../helpers/fixture-models.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { fp32 } from '../../helpers/tensors.ts';
import { denseLayer, sequentialTopology, tfjsFiles, type TfjsWeight } from '../../helpers/tfjs-model.ts';

const weight = (name: string, shape: readonly number[], ...values: number[]): TfjsWeight => ({
  name,
  shape,
  dtype: 'float32',
  data: Float32Array.from(values),
});
const layer = (className: string, name: string, config: object): object => ({ class_name: className, config: { name, ...config } });

async function compile(layers: readonly object[], weights: readonly TfjsWeight[]): Promise<CompileResult> {
  const folder = await modelFolder(tfjsFiles({ format: 'layers-model', modelTopology: sequentialTopology(layers), weights }));
  return compileVersion({ folder, target: await temporaryFolder(), threads: 1 });
}

describe('compileVersion', () => {
  it('writes the model and says how far it is from tfjs', async () => {
    const target = await temporaryFolder();
    const result = await compileVersion({ folder: fixtureFolder('digits-layers'), target, threads: 1 });
    expect(result).toEqual({ outcome: 'checked', largestDifference: expect.any(Number) });
    expect((result as { largestDifference: number }).largestDifference).toBeLessThan(1e-5);
    expect(await readdir(target)).toEqual(['model.onnx']);
  });

  it('refuses a model on which tfjs and the graph differ', async () => {
    // tfjs without its native backends normalises the wrong axis.
    const norm = layer('BatchNormalization', 'norm', { axis: 1, scale: false, center: false, batch_input_shape: [null, 2, 3] });
    await expect(
      compile([norm], [weight('norm/moving_mean', [2], 1, -1), weight('norm/moving_variance', [2], 1, 2)]),
    ).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringMatching(
        /^The compiled model differs from tfjs: its output "norm" has .* where tfjs has .*; 0.0001 may differ\.$/,
      ),
    });
  });

  it('says so when tfjs cannot run the model', async () => {
    const grouped = layer('Conv2D', 'conv', {
      filters: 2,
      kernel_size: [1, 1],
      groups: 2,
      use_bias: false,
      batch_input_shape: [null, 3, 3, 2],
    });
    expect(await compile([grouped], [weight('conv/kernel', [1, 1, 1, 2], 1, 2)])).toEqual({
      outcome: 'unchecked',
      reason: expect.stringMatching(/^tfjs cannot run it: .*[^.]$/),
    });
  });

  it('refuses what cannot be compiled, and what is damaged', async () => {
    const crop = layer('CenterCrop', 'crop', { height: 1, width: 1, batch_input_shape: [null, 3, 3, 1] });
    await expect(compile([crop], [])).rejects.toMatchObject({ code: 'COMPILE_FAILED', message: expect.stringContaining('"crop"') });
    await expect(compile([denseLayer('d', 1, { batch_input_shape: [null, 2] })], [])).rejects.toMatchObject({ code: 'INVALID_MODEL' });
  });

  it('checks models of words, and of sizes that are open', async () => {
    const embedding = layer('Embedding', 'words', {
      input_dim: 4,
      output_dim: 1,
      mask_zero: false,
      batch_input_shape: [null, null],
      dtype: 'float32',
    });
    const small = layer('Conv1D', 'conv', { filters: 1, kernel_size: [8], use_bias: false, activation: 'linear' });
    const weights = [weight('words/embeddings', [4, 1], 1, 2, 3, 4), weight('conv/kernel', [8, 1, 1], 1, 2, 3, 4, 5, 6, 7, 8)];
    expect(await compile([embedding, small], weights)).toMatchObject({ outcome: 'checked' });
  });
});

describe('inputs for the check', () => {
  const signature = {
    inputs: [
      { name: 'words', dtype: 'FP32' as const, shape: [-1, -1] },
      { name: 'flags', dtype: 'BOOL' as const, shape: [2] },
      { name: 'counts', dtype: 'INT32' as const, shape: [-1, 3] },
    ],
    outputs: [],
  };

  it('choose among the rows that a table has', () => {
    const weights = decodeWeights({ specs: [{ name: 'words/embeddings', shape: [4, 1], dtype: 'float32' }], data: [new ArrayBuffer(16)] });
    const topology = sequentialTopology([layer('Embedding', 'words', { input_dim: 4, output_dim: 1, batch_input_shape: [null, 3] })]);
    expect(vocabulariesOf(compileLayersModel(topology as never, weights))).toEqual(new Map([['words_input', 4]]));
    for (const inputs of checkInputs(signature, new Map([['words', 4]]), 100)) {
      const words = inputs.get('words')!;
      expect(words.shape[1]).toBe(100);
      expect([...new Set(words.data as Float32Array)].toSorted((one, other) => one - other)).toEqual([0, 1, 2, 3]);
    }
  });

  it('are of several sizes, whole where they must be, and the same each time', () => {
    const all = checkInputs(signature, new Map(), 5);
    expect(all).toEqual(checkInputs(signature, new Map(), 5));
    expect(all.map((inputs) => inputs.get('words')!.shape)).toEqual([
      [1, 5],
      [3, 5],
      [2, 5],
    ]);
    const numbers = (name: string): number[] => all.flatMap((inputs) => [...(inputs.get(name)!.data as Float32Array)]);
    expect(numbers('flags').every((value) => value === 0 || value === 1)).toBe(true);
    expect(numbers('counts').every(Number.isInteger)).toBe(true);
    expect(Math.min(...numbers('words'))).toBeLessThan(-1);
  });
});

describe('the comparison', () => {
  const outputs = (...values: number[]) => new Map([['y', fp32(values)]]);

  it('is relative where numbers are large, and takes NaN and infinities as they are', () => {
    expect(
      compareOutputs(outputs(1, 1000.05, Number.NaN, Number.POSITIVE_INFINITY), outputs(1, 1000, Number.NaN, Number.POSITIVE_INFINITY)),
    ).toBeCloseTo(5e-5, 6);
  });

  it.each([
    [[1], [1.001], 'has 1 where tfjs has'],
    [[Number.NaN], [1], 'has NaN where tfjs has 1'],
    [[1], [Number.NaN], 'has 1 where tfjs has NaN'],
    [[Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY], 'has Infinity where tfjs has -Infinity'],
    [[1, 2], [1], 'is FP32 [2], not FP32 [1]'],
  ])('refuses %j for %j', (one, other, message) => {
    expect(() => compareOutputs(outputs(...one), outputs(...other))).toThrowError(
      expect.objectContaining({ code: 'COMPILE_FAILED', message: expect.stringContaining(message) }),
    );
  });

  it('refuses other names', () => {
    const signature = (name: string) => ({ inputs: [{ name, dtype: 'FP32' as const, shape: [-1] }], outputs: [] });
    expect(() => compareSignatures(signature('a'), signature('b'))).toThrowError('its inputs are a FP32 rank 1, not b FP32 rank 1');
  });
});
