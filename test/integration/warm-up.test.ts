import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { onnxModel, type OnnxModelOptions, node } from '../helpers/onnx-model.ts';
import { addModels, runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** A repository with one model and the requests that were recorded for it. */
async function repository(model: string, recorded?: string): Promise<string> {
  const models = join(await temporaryFolder(), 'models');
  await addModels(models, [model]);
  if (recorded !== undefined) await writeFile(join(models, model, '1', 'warmup.jsonl'), recorded);
  return models;
}

async function versionOf(models: string, model: string, warmUp: Parameters<typeof runningServer>[1] = {}) {
  const { server } = await runningServer([], { models, ...warmUp });
  return server.registry.describe(model).versions[0]!;
}

describe('a version that loads', () => {
  it('runs its recorded requests, each once', async () => {
    const models = await repository('times-three', '{"inputs":[1,2]}\n\n{"inputs":[3]}\n{"model":"times-three","inputs":{"x":[4,5,6]}}\n');
    const { state, loaded } = await versionOf(models, 'times-three');
    expect(state).toBe('ready');
    expect(loaded?.warmUp).toMatchObject({ inputs: 'recorded', runs: 3 });
  });

  it('runs as many of them as the setting allows', async () => {
    const models = await repository('times-three', '{"inputs":[1,2]}\n{"inputs":[3]}\n{"inputs":[4]}\n');
    const { loaded } = await versionOf(models, 'times-three', { warmUp: { maxRequests: 2 } });
    expect(loaded?.warmUp).toMatchObject({ inputs: 'recorded', runs: 2 });
  });

  it('runs recorded requests of a model that is compiled first, or served by tfjs', async () => {
    for (const [model, recorded] of [
      ['times-three-layers', '{"inputs":[[1]]}'],
      ['times-three-graph', '{"inputs":[1,2]}'],
    ] as const) {
      const { loaded, reason } = await versionOf(await repository(model, recorded), model);
      expect(reason).toBe('');
      expect(loaded?.warmUp).toMatchObject({ inputs: 'recorded', runs: 1 });
    }
  });

  it.each(['times-three', 'dtypes', 'echo-bytes', 'echo-fp16', 'echo-int64', 'echo-bool', 'fixed', 'multi', 'scalar'])(
    'runs inputs made up from its signature where none are recorded: %s',
    async (model) => {
      const { state, loaded } = await versionOf(await repository(model), model);
      expect(state).toBe('ready');
      expect(loaded?.warmUp).toMatchObject({ inputs: 'synthetic', runs: 2 });
    },
  );

  it('is served all the same when it refuses what was made up', async () => {
    const models = join(await temporaryFolder(), 'models');
    await addModels(models, ['times-three as picky']);
    // Two inputs with sizes that can't be known: only 7 and 7 fit a constant shape.
    const options: OnnxModelOptions = {
      inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP32', shape: [7] }],
      nodes: [node('Reshape', ['x', 'seven'], ['y'])],
      initializers: [{ name: 'seven', dataType: 7, dims: [1], int64Data: [7] }],
    };
    await writeFile(join(models, 'picky', '1', 'model.onnx'), onnxModel(options));
    const { state, loaded } = await versionOf(models, 'picky');
    expect(state).toBe('ready');
    expect(loaded?.warmUp).toMatchObject({ inputs: 'synthetic', runs: 0, problem: expect.stringContaining('Reshape') });
  });

  it('runs nothing when the settings say so', async () => {
    const off = await versionOf(await repository('times-three', '{"inputs":[1]}'), 'times-three', { warmUp: { mode: 'off' } });
    expect(off.loaded?.warmUp).toBeUndefined();
    const recorded = await versionOf(await repository('times-three'), 'times-three', { warmUp: { mode: 'recorded' } });
    expect(recorded.loaded?.warmUp).toBeUndefined();
  });

  it.each([
    ['{"inputs":[1]}\n{"inputs":[1,\n', /warmup\.jsonl, line 2/],
    ['{"input":[1]}\n', /warmup\.jsonl, line 1: It must be/],
    ['{"inputs":[1]}\n{"inputs":[[1],[2]]}\n', /warmup\.jsonl, request 2: the model failed on it/],
  ])('%j keeps it from being served, with the reason, unless that is to be ignored', async (recorded, reason) => {
    const models = await repository('times-three', recorded);
    expect(await versionOf(models, 'times-three')).toMatchObject({ state: 'failed', reason: expect.stringMatching(reason) });
    const ignored = await versionOf(models, 'times-three', { warmUp: { onFailure: 'ignore' } });
    expect(ignored).toMatchObject({ state: 'ready', loaded: { warmUp: { runs: 0, problem: expect.stringMatching(reason) } } });
  });

  it('leaves the one before it in place when it fails on its recorded requests', async () => {
    const { address, models } = await runningServer(['times-three']);
    const next = join(models, 'times-three', '2');
    await cp(join(models, 'times-three', '1'), join(models, '.next'), { recursive: true });
    await writeFile(join(models, '.next', 'warmup.jsonl'), '{"inputs":[[1],[2]]}');
    await cp(join(models, '.next'), next, { recursive: true });
    await expect
      .poll(async () => ((await (await fetch(`${address}/models/times-three/versions/2`)).json()) as { state: string }).state, {
        timeout: 20_000,
      })
      .toBe('failed');
    expect((await post(address, '/models/times-three/predict', '{"inputs":[1]}')).status).toBe(200);
    const failure = await failureOf(await post(address, '/models/times-three/versions/2/predict', '{"inputs":[1]}'));
    expect(failure).toMatchObject({ code: 'MODEL_FAILED', message: expect.stringContaining('warmup.jsonl') });
  });
});
