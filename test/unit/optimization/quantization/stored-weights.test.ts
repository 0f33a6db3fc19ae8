import { brotliCompressSync } from 'node:zlib';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clusterValues } from '../../../../src/optimization/quantization/cluster.ts';
import { cluster, float16, weightsInt8 } from '../../../../src/optimization/quantization/stored-weights.ts';
import type { TechniqueInput, TechniqueReport } from '../../../../src/optimization/quantization/technique.ts';
import { fixtureFolder, modelFolder } from '../../../helpers/fixture-models.ts';
import { floatInitializer, node, onnxModel } from '../../../helpers/onnx-model.ts';
import { optimizedOperators } from '../../../helpers/optimized-operators.ts';
import { DIGITS, digitsAccuracy, modelBytes } from '../../../helpers/quantization.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

type Technique = (input: TechniqueInput) => Promise<TechniqueReport>;

async function stored(technique: Technique, folder = DIGITS) {
  const target = await temporaryFolder();
  return { target, report: await technique({ folder, target }) };
}

async function brotliBytes(folder: string): Promise<number> {
  return brotliCompressSync(await readFile(join(folder, 'model.onnx'))).length;
}

describe('weights stored in fewer bits', () => {
  it.each<[string, Technique, number]>([
    ['FP16', float16, 1.95],
    ['int8 with a scale for each channel', weightsInt8, 3.7],
    ['int8 with one scale', (input) => weightsInt8(input, { perChannel: false }), 3.7],
    ['256 different numbers', (input) => cluster(input), 3.5],
    ['32 different numbers', (input) => cluster(input, { clusters: 32 }), 3.7],
  ])('%s: as good, smaller, and FP32 again before the first run', async (_what, technique, ratio) => {
    const { target, report } = await stored(technique);
    expect((await modelBytes(DIGITS)) / (await modelBytes(target))).toBeGreaterThan(ratio);
    expect(await digitsAccuracy(target)).toBeGreaterThanOrEqual((await digitsAccuracy(DIGITS)) - 0.01);
    expect(report.changed).toEqual({ Conv: 1, Gemm: 3 });
    // What ONNX Runtime computes at each run is what it computes for the model with FP32 weights.
    expect(await optimizedOperators(target)).toEqual(await optimizedOperators(DIGITS));
  });

  it('compress well once they are few different numbers', async () => {
    const { target } = await stored((input) => cluster(input, { clusters: 16 }));
    expect((await modelBytes(DIGITS)) / (await brotliBytes(target))).toBeGreaterThan(7);
    expect((await modelBytes(DIGITS)) / (await brotliBytes(DIGITS))).toBeLessThan(1.2);
  });

  it('are left where FP16 ends before the numbers do', async () => {
    const values = Array.from({ length: 400 }, (_value, at) => at);
    const folder = await modelFolder({
      'model.onnx': onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n', 20] }],
        outputs: [{ name: 'y', type: 'FP32' }],
        nodes: [node('MatMul', ['x', 'a'], ['p']), node('MatMul', ['p', 'b'], ['y'])],
        initializers: [floatInitializer('a', [20, 20], values), floatInitializer('b', [20, 20], [70_000, ...values.slice(1)])],
      }),
    });
    const { report } = await stored(float16, folder);
    expect(report).toMatchObject({
      changed: { MatMul: 1 },
      unchanged: ['1 × weights of the shape [20, 20]: a number is beyond 65504, where FP16 ends'],
    });
  });

  it('are none in a model without any', async () => {
    for (const technique of [float16, weightsInt8, cluster]) {
      await expect(stored(technique, fixtureFolder('times-three'))).rejects.toMatchObject({ code: 'TECHNIQUE_INAPPLICABLE' });
    }
  });
});

describe('clusters', () => {
  it('put each number to its nearest centroid, keep zeros, and are at most as many as asked for', () => {
    const numbers = fc.array(fc.oneof(fc.constant(0), fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 })), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(numbers, fc.integer({ min: 2, max: 40 }), (list, count) => {
        const values = Float32Array.from(list);
        const { centroids, places } = clusterValues(values, count);
        expect(centroids.length).toBeLessThanOrEqual(count);
        for (const [at, value] of values.entries()) {
          const given = centroids[places[at]!]!;
          const nearest = Math.min(...centroids.map((each) => Math.abs(each - value)));
          expect(Math.abs(given - value)).toBeCloseTo(nearest, 4);
          if (value === 0) expect(Math.abs(given)).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('lose nothing where there are as few different numbers', () => {
    const values = Float32Array.from([0.5, -1, 0.5, 2, -1, 0]);
    const { centroids, places } = clusterValues(values, 64);
    expect([...places].map((place) => centroids[place])).toEqual([...values]);
  });
});
