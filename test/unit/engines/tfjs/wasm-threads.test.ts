import os from 'node:os';
import { Worker } from 'node:worker_threads';
import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { createTfjsEngine } from '../../../../src/engines/tfjs/tfjs-engine.ts';
import { fixtureFolder, loadForTest } from '../../../helpers/fixture-models.ts';
import { fp32 } from '../../../helpers/tensors.ts';

// In a file of its own, because tfjs keeps a backend that has started.
it('computes on as many threads as are asked for, alike, and leaves Node as it was', async () => {
  const before = os.cpus().length;
  const folder = fixtureFolder('digits-graph');
  const model = await loadForTest(createTfjsEngine(), folder, 'tfjs-graph', { threads: 3 });
  expect(model).toMatchObject({ backend: 'wasm', reason: expect.stringContaining('WebAssembly with SIMD and 3 threads') });

  const image = fp32(
    Array.from({ length: 28 * 28 }, (_pixel, index) => ((index * 7) % 29) / 29),
    [1, 28, 28, 1],
  );
  const answer = await model.run(new Map([['image', image]]), ['probabilities']);
  const plain = await loadForTest(createTfjsEngine({ backends: ['cpu'] }), folder, 'tfjs-graph');
  const expected = await plain.run(new Map([['image', image]]), ['probabilities']);
  const numbersOf = (outputs: typeof answer): number[] => Array.from(outputs.get('probabilities')!.data as Float32Array);
  for (const [index, value] of numbersOf(answer).entries()) expect(value).toBeCloseTo(numbersOf(expected)[index]!, 5);

  expect(os.cpus()).toHaveLength(before);
  expect((createRequire(import.meta.url)('node:worker_threads') as { Worker: unknown }).Worker).toBe(Worker);
  expect('Worker' in globalThis).toBe(false);
});
