import { describe, expect, it } from 'vitest';
import { createDeviceRoom, type DeviceRoom } from '../../../src/choice/device-room.ts';
import { fullDevice } from '../../../src/engines/engines.ts';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { Logger } from '../../../src/observability/log.ts';
import type { LoadedInfo, Placement, Runner } from '../../../src/runners/runner.ts';
import { fp32 } from '../../helpers/tensors.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const SIGNATURE = { inputs: [], outputs: [] };
const FULL = new SlipwayError('DEVICE_OUT_OF_MEMORY', 'The memory of the device webgpu does not suffice.');

/** How a stand-in for a runner on a GPU behaves; GPUs that are full on demand cannot be had. */
interface Gpu {
  readonly bytes?: number | undefined;
  readonly isFullAtLoad?: boolean;
  /** From this run on. */
  readonly isFullAtRun?: number;
}

function fakeRunner(
  { device = 'cpu', folder }: Placement,
  { bytes, isFullAtLoad = false, isFullAtRun = Infinity }: Gpu,
): Runner & { stopped: boolean } {
  const info: LoadedInfo = { signature: SIGNATURE, engine: 'tfjs', backend: device, device, reason: 'fake', memoryBytes: 1, pid: 7 };
  const fails = device !== 'cpu' && isFullAtLoad;
  let runs = 0;
  return {
    stopped: false,
    status: fails ? { state: 'failed', error: FULL } : { state: 'ready', info },
    restarts: 0,
    concurrency: 1,
    inFlight: 0,
    instances: [{ state: 'ready', pid: 7, restarts: 0, inFlight: 0 }],
    deviceBytes: device === 'cpu' ? 0 : bytes,
    onStatus() {},
    ready: () => (fails ? Promise.reject(FULL) : Promise.resolve(info)),
    async run() {
      runs += 1;
      if (device !== 'cpu' && runs >= isFullAtRun) throw FULL;
      return { outputs: new Map([[folder, fp32([runs])]]), computeNs: 1 };
    },
    memoryBytes: () => Promise.resolve(1),
    async stop() {
      this.stopped = true;
    },
  };
}

function room(
  gpu: Gpu,
  options: { budgetBytes?: number; onMissing?: 'refuse'; told?: number } = {},
): { devices: DeviceRoom; runners: Runner[] } {
  const runners: Runner[] = [];
  const devices = createDeviceRoom({
    launcher: {
      launch(placement) {
        const runner = fakeRunner(placement, gpu);
        runners.push(runner);
        return runner;
      },
    },
    budgetBytes: options.budgetBytes,
    onMissing: options.onMissing ?? 'fallback',
    bytesOf: () => Promise.resolve(options.told),
    logger: silent,
  });
  return { devices, runners };
}

function placement(name: string): Placement {
  return { folder: `/models/${name}/1`, format: 'tfjs-graph', device: 'webgpu', threads: 1 };
}

describe('a model on a GPU', () => {
  it('stays there while there is room, and counts', async () => {
    const { devices } = room({ bytes: 400 }, { budgetBytes: 1_000 });
    const [one, two] = [devices.launch(placement('one')), devices.launch(placement('two'))];
    expect(await one.ready()).toMatchObject({ device: 'webgpu', reason: 'fake' });
    expect(await two.ready()).toMatchObject({ device: 'webgpu' });
    expect(devices.usedBytes('webgpu')).toBe(800);
    await one.stop();
    expect(devices.usedBytes('webgpu')).toBe(400);
  });

  it('that does not fit beside the others runs on the CPU, and says why', async () => {
    const { devices, runners } = room({ bytes: 600 }, { budgetBytes: 1_000 });
    await devices.launch(placement('one')).ready();
    const two = await devices.launch(placement('two')).ready();
    expect(two).toMatchObject({ device: 'cpu' });
    expect(two.reason).toMatch(/^fake It does not run on a GPU: It takes 0\.0 MB .* \(setting devices\.gpuBudgetBytes\)\.$/);
    expect(devices.usedBytes('webgpu')).toBe(600);
    expect(runners.map((runner) => (runner as Runner & { stopped: boolean }).stopped)).toEqual([false, true, false]);
  });

  it('is measured by what the driver tells of its process where its library does not', async () => {
    const { devices } = room({}, { budgetBytes: 1_000, told: 2_000 });
    expect(await devices.launch(placement('one')).ready()).toMatchObject({ device: 'cpu' });
  });

  it('that finds no memory when it is loaded runs on the CPU; it is not served where that is what it asks for', async () => {
    expect(await room({ isFullAtLoad: true }).devices.launch(placement('one')).ready()).toMatchObject({ device: 'cpu' });
    const refused = room({ isFullAtLoad: true }, { onMissing: 'refuse' }).devices.launch(placement('one'));
    await expect(refused.ready()).rejects.toMatchObject({ code: 'DEVICE_OUT_OF_MEMORY' });
    expect(refused.status.state).toBe('failed');
  });

  it('that finds no memory when it runs goes over to the CPU, and no request is lost', async () => {
    const { devices, runners } = room({ bytes: 1, isFullAtRun: 2 });
    const runner = devices.launch(placement('one'));
    await runner.ready();
    await runner.run([new Map()], []);
    const answers = await Promise.all([runner.run([new Map()], []), runner.run([new Map()], [])]);
    expect(answers.map(({ outputs }) => [...outputs.values()][0]!.data[0])).toEqual([1, 2]);
    expect(runner.status).toMatchObject({ info: { device: 'cpu' } });
    expect(runners).toHaveLength(2);
    expect(devices.usedBytes('webgpu')).toBe(0);
  });

  it('that must not leave it fails the request, and goes on', async () => {
    const runner = room({ bytes: 1, isFullAtRun: 2 }, { onMissing: 'refuse' }).devices.launch(placement('one'));
    await runner.ready();
    await runner.run([new Map()], []);
    await expect(runner.run([new Map()], [])).rejects.toMatchObject({ code: 'DEVICE_OUT_OF_MEMORY' });
    expect(runner.status).toMatchObject({ info: { device: 'webgpu' } });
  });
});

describe('what libraries say of a GPU that is full', () => {
  it.each([
    'OOM when allocating tensor with shape[1024,1024] and type float on /job:localhost/replica:0/task:0/device:GPU:0',
    'RESOURCE_EXHAUSTED: failed to allocate memory',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=…',
    'CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED',
    'BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1073741824',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY',
  ])('%s', (message) => {
    expect(fullDevice(new Error(message), 'cuda')).toMatchObject({ code: 'DEVICE_OUT_OF_MEMORY', kind: 'overloaded' });
    const onCpu = new Error(message);
    expect(fullDevice(onCpu, 'cpu')).toBe(onCpu);
  });

  it('is no word of other errors', () => {
    const other = new Error('Node: Conv 2D has no kernel');
    expect(fullDevice(other, 'cuda')).toBe(other);
  });
});
