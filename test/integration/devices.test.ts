import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { fixtureFolder } from '../helpers/fixture-models.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../helpers/native-tensorflow.ts';
import { readInstallation } from '../../src/native/installation.ts';
import { hasNvidia, NEEDS_NVIDIA } from '../helpers/nvidia.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { hasWebGpu, NEEDS_WEBGPU } from '../helpers/webgpu.ts';

interface Answer {
  readonly devices: readonly {
    readonly id: string;
    readonly kind: string;
    readonly name: string;
    readonly memory: {
      readonly totalBytes: number;
      readonly usedByUsBytes: number;
      readonly usedByOthersBytes: number;
      readonly budgetBytes?: number;
    };
    readonly models: readonly { readonly model: string; readonly engine: string; readonly backend: string }[];
  }[];
  readonly withoutGpu?: string;
  readonly engines: readonly {
    readonly engine: string;
    readonly backends: readonly {
      readonly backend: string;
      readonly device: string;
      readonly available: boolean;
      readonly reason: string;
    }[];
  }[];
}

async function devicesOf(address: string): Promise<Answer> {
  return (await (await fetch(`${address}/devices`)).json()) as Answer;
}

interface Asked {
  readonly state: string;
  readonly reason: string;
  readonly engine: string;
  readonly backend: string;
  readonly device: string;
  readonly engineReason: string;
  readonly instances: readonly { readonly pid: number }[];
}

async function askedModel(address: string): Promise<Asked> {
  const answer = await fetch(`${address}/models/asked`);
  return ((await answer.json()) as { versions: never[] }).versions[0]!;
}

/** A repository with one model that asks for something in its slipway.json. */
async function asking(fixture: string, manifest: object): Promise<string> {
  const models = await temporaryFolder();
  const folder = join(models, 'asked', '1');
  await cp(fixtureFolder(fixture), folder, { recursive: true });
  await writeFile(join(folder, 'slipway.json'), JSON.stringify(manifest));
  return models;
}

describe('GET /devices', () => {
  it('tells the CPU, who uses its memory, the models on it, and what each engine could use', async () => {
    const { address } = await runningServer(['times-three', 'times-three-graph']);
    const { devices, engines, withoutGpu } = await devicesOf(address);
    const [cpu, ...gpus] = devices;
    expect(cpu).toMatchObject({ id: 'cpu', kind: 'cpu', name: expect.stringMatching(/./) as string });
    const { totalBytes, usedByUsBytes, usedByOthersBytes } = cpu!.memory;
    expect(usedByUsBytes).toBeGreaterThan(50e6);
    expect(usedByOthersBytes).toBeGreaterThan(0);
    expect(usedByUsBytes + usedByOthersBytes).toBeLessThanOrEqual(totalBytes);
    expect(cpu!.models).toMatchObject([
      { model: 'times-three', engine: 'onnx', backend: 'cpu' },
      { model: 'times-three-graph', engine: 'tfjs', backend: 'wasm' },
    ]);
    expect(gpus.length === 0).toBe(withoutGpu !== undefined);
    expect(engines.map(({ engine }) => engine)).toEqual(['onnx', 'tensorflow', 'tfjs']);
    const tensorflow = engines[1]!.backends.find(({ device }) => device === 'cpu')!;
    expect(tensorflow.available).toBe(tensorflowFolder !== undefined);
    expect(tensorflow.reason).toMatch(/TensorFlow/);
  });
});

describe('a model that asks for a device that is not there', () => {
  it.skipIf(hasNvidia)('is served on the CPU and says so', async () => {
    const models = await asking('times-three', { device: 'cuda' });
    const { address } = await runningServer([], { models });
    expect(await askedModel(address)).toMatchObject({
      state: 'ready',
      device: 'cpu',
      engineReason: expect.stringMatching(
        /slipway\.json asks for the device cuda, which this engine cannot have here; it runs on cpu\..* Its CUDA provider was not taken: \w/,
      ) as string,
    });
  });

  it('runs on it where it is there, and says what is missing where it is not', async () => {
    const models = await asking('times-three', { device: 'webgpu' });
    const { address } = await runningServer([], { models });
    const { device, engineReason } = await askedModel(address);
    expect(device).toBe(hasWebGpu ? 'webgpu' : 'cpu');
    expect(engineReason).toMatch(hasWebGpu ? /on its WebGPU provider/ : /asks for the device webgpu.*WebGPU provider was not taken: ./);
    const answer = await fetch(`${address}/models/asked/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"inputs":[1,2]}',
    });
    expect(await answer.json()).toMatchObject({ outputs: { y: [3, 6] } });
  });

  it.skipIf(hasNvidia)('is not served where the setting says so', async () => {
    const models = await asking('times-three', { device: 'cuda' });
    const { address } = await runningServer([], { models, devices: { onMissing: 'refuse' } });
    const { state, reason } = await askedModel(address);
    expect(state).toBe('failed');
    expect(reason).toContain('devices.onMissing');
  });
});

/** The driver that the tests run on, as one that can be taken away. */
async function removableDriver(): Promise<string> {
  const file = process.env['VK_ICD_FILENAMES']!;
  const driver = JSON.parse(await readFile(file, 'utf8')) as { ICD: { library_path: string } };
  driver.ICD.library_path = resolve(dirname(file), driver.ICD.library_path);
  const copy = join(await temporaryFolder(), 'driver.json');
  await writeFile(copy, JSON.stringify(driver));
  return copy;
}

describe.skipIf(!hasWebGpu)(`tfjs on a GPU (${NEEDS_WEBGPU})`, () => {
  it('answers as on the CPU, and names the GPU', async () => {
    const models = await asking('digits-graph', { backend: 'webgpu' });
    const { address } = await runningServer([], { models });
    expect(await askedModel(address)).toMatchObject({
      state: 'ready',
      engine: 'tfjs',
      backend: 'webgpu',
      device: 'webgpu',
      engineReason: expect.stringMatching(/tfjs on WebGPU: \w+/) as string,
    });
    const { devices } = await devicesOf(address);
    const gpu = devices.find(({ kind }) => kind === 'webgpu')!;
    expect(gpu.models).toMatchObject([{ model: 'asked', backend: 'webgpu' }]);
    expect(gpu.memory.usedByUsBytes).toBeGreaterThan(10_000);
  });

  it('has a budget of memory, and a model over it answers on the CPU', async () => {
    const models = await asking('digits-graph', { device: 'webgpu' });
    const { address } = await runningServer([], { models, devices: { gpuBudgetBytes: 1_000 } });
    expect(await askedModel(address)).toMatchObject({
      state: 'ready',
      backend: 'wasm',
      engineReason: expect.stringMatching(/does not run on a GPU: It takes .*devices\.gpuBudgetBytes/) as string,
    });
    const gpu = (await devicesOf(address)).devices.find(({ kind }) => kind === 'webgpu')!;
    expect(gpu).toMatchObject({ memory: { usedByUsBytes: 0, budgetBytes: 1_000 }, models: [] });
  });

  it.skipIf(process.env['VK_ICD_FILENAMES'] === undefined)('goes on on the CPU when the GPU is lost', async () => {
    const models = await asking('times-three-graph', { device: 'webgpu' });
    const driver = await removableDriver();
    const { address } = await runningServer([], { models, env: { ...process.env, VK_ICD_FILENAMES: driver } });
    const before = await askedModel(address);
    expect(before).toMatchObject({ state: 'ready', backend: 'webgpu' });
    await rm(driver);
    // What Dawn's word of a lost device ends, too.
    process.kill(before.instances[0]!.pid, 'SIGKILL');
    await vi.waitFor(async () => expect(await askedModel(address)).toMatchObject({ state: 'ready', backend: 'wasm', restarts: 1 }), {
      timeout: 20_000,
      interval: 20,
    });
    expect((await askedModel(address)).engineReason).toMatch(/asks for the device webgpu, which this engine cannot have here/);
    const answer = await fetch(`${address}/models/asked/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"inputs":[1,2]}',
    });
    expect(await answer.json()).toMatchObject({ outputs: { y: [3, 6] } });
  });
});

const cudaTensorFlow = tensorflowFolder === undefined ? undefined : readInstallation(tensorflowFolder);
const hasCuda = hasNvidia && cudaTensorFlow?.state === 'installed' && cudaTensorFlow.installation.variant === 'cuda';

// Not seen to run yet: no machine with such a GPU was at hand.
describe.skipIf(!hasCuda)(`models on CUDA (${NEEDS_NVIDIA}, and npx slipway native install --cuda)`, () => {
  it('are served on the GPU with the answers of the CPU, and count on it', async () => {
    const models = await asking('times-three-saved', { device: 'cuda' });
    const { address } = await runningServer([], { models });
    expect(await askedModel(address)).toMatchObject({ state: 'ready', engine: 'tensorflow', device: 'cuda' });
    const answer = await fetch(`${address}/models/asked/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"inputs":[1,2]}',
    });
    expect(await answer.json()).toMatchObject({ outputs: { y: [3, 6] } });
    const gpu = (await devicesOf(address)).devices.find(({ id }) => id === 'cuda:0')!;
    expect(gpu.models).toMatchObject([{ model: 'asked' }]);
    expect(gpu.memory.usedByUsBytes).toBeGreaterThan(0);
  });
});

describe.skipIf(tensorflowFolder === undefined)(`models on native TensorFlow (${NEEDS_TENSORFLOW})`, () => {
  it('are those that ask for it, layers models too, which are not compiled then', async () => {
    const models = await asking('times-three-layers', { backend: 'tensorflow' });
    const { address } = await runningServer(['times-three-saved'], { models });
    expect(await askedModel(address)).toMatchObject({
      state: 'ready',
      engine: 'tfjs',
      backend: 'tensorflow',
      engineReason: expect.stringMatching(/native TensorFlow 2\.\d+\.\d+ on/) as string,
    });
    const answer = await fetch(`${address}/models/times-three-saved/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"inputs":[1,2]}',
    });
    expect(await answer.json()).toMatchObject({ outputs: { y: [3, 6] } });
    expect((await devicesOf(address)).devices.flatMap((device) => device.models)).toMatchObject([
      { model: 'asked', engine: 'tfjs', backend: 'tensorflow' },
      { model: 'times-three-saved', engine: 'tensorflow' },
    ]);
  });
});
