import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { fixtureFolder } from '../helpers/fixture-models.ts';
import { runningServer } from '../helpers/running-server.ts';
import { createChoiceStore } from '../../src/choice/choice-store.ts';
import type { Choice } from '../../src/choice/choice.ts';
import { enginesHere } from '../../src/devices/engines-here.ts';
import { machineKey } from '../../src/devices/machine.ts';
import { defaultFolder } from '../../src/native/installation.ts';
import { tensorflowFolder } from '../helpers/native-tensorflow.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const MODEL = 'times-three-graph';
const WAIT = { timeout: 60_000, interval: 50 };

vi.setConfig({ testTimeout: 90_000 });

interface Described {
  readonly state: string;
  readonly engine: string;
  readonly backend: string;
  readonly choice: Choice;
}

async function described(address: string, model = MODEL): Promise<Described> {
  const answer = (await (await fetch(`${address}/models/${model}`)).json()) as { versions: Described[] };
  return answer.versions[0]!;
}

async function settled(address: string): Promise<Described> {
  return vi.waitFor(async () => {
    const found = await described(address);
    expect(found.choice.by).toBe('measured');
    return found;
  }, WAIT);
}

async function predict(address: string): Promise<unknown> {
  const answer = await fetch(`${address}/models/${MODEL}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"inputs":[1,2]}',
  });
  return ((await answer.json()) as { outputs: { y: unknown } }).outputs.y;
}

const folder = tensorflowFolder ?? defaultFolder(process.env);

function storeIn(state: string): ReturnType<typeof createChoiceStore> {
  return createChoiceStore({
    folder: join(state, 'choices'),
    machine: () => machineKey(enginesHere(folder, process.env), process.env),
    maxChoices: 10,
  });
}

describe('a model that asks for no engine', () => {
  it('is served at once, measured, and explained; what was found holds for the next start', async () => {
    const { address, state, models, server } = await runningServer([MODEL], { devices: { choice: 'measured' } });
    expect(await predict(address)).toEqual([3, 6]);
    const { choice, engine, backend } = await settled(address);
    const taken = choice.candidates.filter(({ outcome }) => outcome === 'taken');
    expect(taken).toMatchObject([{ engine, backend }]);
    const tried = choice.candidates.filter(({ outcome }) => outcome === 'taken' || outcome === 'slower');
    expect(tried.map((each) => each.backend)).toEqual(expect.arrayContaining(['wasm', 'cpu']));
    for (const { runMs } of tried) expect(runMs!['1']).toBeGreaterThan(0);
    for (const { outcome, reason } of choice.candidates) if (outcome === 'absent') expect(reason).not.toBe('');
    const devices = (await (await fetch(`${address}/devices`)).json()) as { devices: { models: { choice: Choice }[] }[] };
    expect(devices.devices.flatMap((device) => device.models)).toMatchObject([{ choice }]);
    // A GPU in software, as CI has one.
    const gpu = choice.candidates.find((each) => each.backend === 'webgpu');
    if (gpu !== undefined) expect(gpu.outcome).toBe('absent');
    await server.stop();
    const again = await runningServer([], { models, state, devices: { choice: 'measured' } });
    expect(await described(again.address)).toMatchObject({ engine, backend, choice: { by: 'measured', measuredAt: choice.measuredAt } });
  });

  it('goes over to what was measured elsewhere without a request lost', async () => {
    const state = await temporaryFolder();
    const store = storeIn(state);
    const kept = {
      taken: { engine: 'tfjs', backend: 'cpu', device: 'cpu' },
      choice: { by: 'measured', reason: 'It was fastest.', candidates: [] },
    } as const;
    await store.keep({ folder: join(fixtureFolder(MODEL)), threads: 1 }, kept);
    // Only the digest of the files tells that they are the same.
    for (const name of await readdir(join(state, 'choices'))) if (name.startsWith('digest-')) await rm(join(state, 'choices', name));
    const { address } = await runningServer([MODEL], { state, devices: { choice: 'measured' } });
    let answered = 0;
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        expect(await predict(address)).toEqual([3, 6]);
        answered += 1;
      }
    })();
    const found = await settled(address);
    const before = answered;
    await vi.waitFor(() => expect(answered).toBeGreaterThan(before + 1), WAIT);
    isOver = true;
    await asking;
    expect(found).toMatchObject({ state: 'ready', engine: 'tfjs', backend: 'cpu', choice: { reason: 'It was fastest.' } });
  });

  it('runs in the usual way when what was measured cannot be had any more, and says so', async () => {
    const state = await temporaryFolder();
    const models = await temporaryFolder();
    const { server } = await runningServer([MODEL], { state, models });
    await server.stop();
    await storeIn(state).keep(
      { folder: join(models, MODEL, '1'), threads: 1 },
      {
        taken: { engine: 'onnx', backend: 'cpu', device: 'cpu' },
        choice: { by: 'measured', reason: 'It was fastest.', candidates: [] },
      },
    );
    const { address } = await runningServer([], { state, models, devices: { choice: 'measured' } });
    expect(await predict(address)).toEqual([3, 6]);
    expect(await described(address)).toMatchObject({
      state: 'ready',
      engine: 'tfjs',
      choice: { reason: expect.stringMatching(/^It was fastest\. It has failed, so the usual way is taken: .*onnx/) as string },
    });
  });
});

describe('a model whose engine is not measured', () => {
  it('says who asks for it, or that there is nothing else', async () => {
    const fixed = await runningServer([MODEL]);
    expect((await described(fixed.address)).choice).toMatchObject({
      by: 'setting',
      reason: expect.stringContaining('devices.choice') as string,
    });
    const preferred = await runningServer(['times-three'], { devices: { prefer: 'cuda' } });
    expect(await described(preferred.address, 'times-three')).toMatchObject({
      state: 'ready',
      choice: { by: 'setting', reason: 'The setting devices.prefer asks for cuda.' },
    });
  });
});
