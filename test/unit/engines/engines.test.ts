import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { chooseEngine, loadModel } from '../../../src/engines/engines.ts';
import { fixtureFolder } from '../../helpers/fixture-models.ts';
import { fp32 } from '../../helpers/tensors.ts';

describe('chooseEngine', () => {
  it('takes the engine that runs the format', () => {
    expect(chooseEngine('onnx')).toEqual({ engine: 'onnx', reason: expect.stringContaining('onnx') });
    expect(chooseEngine('tfjs-layers').engine).toBe('tfjs');
    expect(chooseEngine('tfjs-graph').engine).toBe('tfjs');
    expect(chooseEngine('saved-model').engine).toBe('tensorflow');
  });

  it('takes the preferred engine when it can run the format', () => {
    expect(chooseEngine('tfjs-graph', 'tfjs')).toEqual({ engine: 'tfjs', reason: expect.stringContaining('slipway.json') });
  });

  it('refuses a preferred engine that cannot, and names one that can', () => {
    expect(() => chooseEngine('onnx', 'tfjs')).toThrowError(
      expect.objectContaining({ code: 'ENGINE_UNAVAILABLE', message: expect.stringMatching(/"tfjs".*"onnx".*runs on: onnx/) }),
    );
  });
});

describe('loadModel', () => {
  it('loads a folder and says which engine and why', async () => {
    const { engine, model } = await loadModel({ folder: fixtureFolder('times-three'), format: 'onnx', threads: 1, engine: undefined });
    try {
      expect(engine).toBe('onnx');
      expect(model.reason).toMatch(/The engine onnx.*CPU provider/);
      expect(await model.run(new Map([['x', fp32([2])]]), ['y'])).toEqual(new Map([['y', fp32([6])]]));
    } finally {
      await model.dispose();
    }
  });

  it.each([
    ['times-three', 'onnx', ['onnxruntime-common', 'onnxruntime-node']],
    ['times-three-layers', 'tfjs-layers', ['tfjs-backend-wasm', 'tfjs-core', 'tfjs-layers']],
    ['times-three-graph', 'tfjs-graph', ['tfjs-backend-wasm', 'tfjs-converter', 'tfjs-core']],
    ['einsum', 'tfjs-graph', ['tfjs-backend-cpu', 'tfjs-backend-wasm', 'tfjs-converter', 'tfjs-core']],
  ])(
    'loads %s with no other libraries than it needs, prints nothing and leaves error handling alone',
    { timeout: 30_000 },
    async (fixture, format, libraries) => {
      const script = fileURLToPath(new URL('../../fixtures/engines/load-and-list.ts', import.meta.url));
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, fixtureFolder(fixture), format]);
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual({ libraries, handlers: 0 });
    },
  );
});
