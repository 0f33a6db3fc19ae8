import { afterEach, expect, it, vi } from 'vitest';
import { createTfjsEngine } from '../../../../src/engines/tfjs/tfjs-engine.ts';
import { fixtureFolder, loadForTest } from '../../../helpers/fixture-models.ts';
import { fp32 } from '../../../helpers/tensors.ts';

/** Node has it, but the types of the DOM that declare it are not loaded. */
const { WebAssembly } = globalThis as unknown as { WebAssembly: { instantiate(): Promise<unknown> } };

afterEach(() => {
  vi.restoreAllMocks();
});

// In a file of its own, because tfjs keeps a backend that has started.
it('falls back to cpu when wasm does not start, and says so', async () => {
  vi.spyOn(WebAssembly, 'instantiate').mockRejectedValue(new Error('no WebAssembly here'));
  const warnings = vi.spyOn(console, 'warn').mockReturnValue();
  const folder = fixtureFolder('times-three-layers');
  const model = await loadForTest(createTfjsEngine(), folder, 'tfjs-layers');
  expect(model).toMatchObject({ backend: 'cpu', reason: expect.stringMatching(/plain JavaScript.*wasm backend was not taken/) });
  expect(await model.run(new Map([['x', fp32([2], [1, 1])]]), ['y'])).toEqual(new Map([['y', fp32([6], [1, 1])]]));
  expect(warnings).toHaveBeenCalled();
  await expect(createTfjsEngine({ backends: ['wasm'] }).load({ folder, format: 'tfjs-layers', threads: 1 })).rejects.toMatchObject({
    code: 'ENGINE_UNAVAILABLE',
  });
});
