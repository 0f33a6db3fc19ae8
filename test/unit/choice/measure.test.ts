import { beforeAll, afterAll, describe, expect, it, vi } from 'vitest';
import type { FoundCandidate } from '../../../src/choice/candidates.ts';
import { measureCandidates, type Measured } from '../../../src/choice/measure.ts';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { LoadedInfo, Runner } from '../../../src/runners/runner.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** What a stand-in for a runner does: how long a real one takes is not for a test to say, so the clock is one, too. */
interface Behaviour {
  readonly ms: number;
  /** What each number is multiplied by; 3 is right. */
  readonly factor?: number;
  readonly device?: string;
  readonly refuses?: SlipwayError;
  readonly output?: string;
  readonly failsWhenRun?: boolean;
}

const SHAPE = [-1, 2];

function fakeRunner({ backend, device }: FoundCandidate, behaviour: Behaviour, stopped: string[]): Runner {
  const { ms, factor = 3, refuses, output = 'y', failsWhenRun = false } = behaviour;
  const info: LoadedInfo = {
    signature: { inputs: [{ name: 'x', dtype: 'FP32', shape: SHAPE }], outputs: [{ name: output, dtype: 'FP32', shape: SHAPE }] },
    engine: 'tfjs',
    backend,
    device: behaviour.device ?? device,
    reason: 'fake',
    memoryBytes: 1,
    pid: 1,
  };
  return {
    status: { state: 'ready', info },
    restarts: 0,
    concurrency: 1,
    inFlight: 0,
    instances: [],
    deviceBytes: 0,
    onStatus() {},
    ready: () => (refuses === undefined ? Promise.resolve(info) : Promise.reject(refuses)),
    async run([inputs]) {
      if (failsWhenRun) throw new SlipwayError('INFERENCE_FAILED', 'no kernel');
      vi.advanceTimersByTime(ms);
      const { shape, data } = inputs!.get('x')!;
      const values = Float32Array.from(data as Float32Array, (value) => value * factor);
      return { outputs: new Map([[output, { dtype: 'FP32', shape, data: values }]]), computeNs: 1 };
    },
    memoryBytes: () => Promise.resolve(1),
    async stop() {
      stopped.push(backend);
    },
  };
}

function found(backend: string, absent?: string): FoundCandidate {
  return { engine: 'tfjs', backend, device: backend === 'webgpu' ? 'webgpu' : 'cpu', absent };
}

async function measure(behaviours: Record<string, Behaviour | string>): Promise<{ measured: Measured; stopped: string[] }> {
  const stopped: string[] = [];
  const measured = await measureCandidates({
    candidates: Object.entries(behaviours).map(([name, each]) => found(name, typeof each === 'string' ? each : undefined)),
    launch: (candidate) => fakeRunner(candidate as FoundCandidate, behaviours[candidate.backend] as Behaviour, stopped),
    onLoaded() {},
    folder: await temporaryFolder(),
    signal: new AbortController().signal,
  });
  return { measured, stopped };
}

beforeAll(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterAll(() => void vi.useRealTimers());

function outcomes({ candidates }: Measured): string {
  return candidates.map(({ backend, outcome }) => `${backend} ${outcome}`).join(', ');
}

describe('candidates', () => {
  it('are timed, and the fastest is taken', async () => {
    const { measured, stopped } = await measure({ wasm: { ms: 10 }, tensorflow: { ms: 4 }, cpu: { ms: 8 } });
    expect(measured.taken).toMatchObject({ backend: 'tensorflow' });
    expect(outcomes(measured)).toBe('wasm slower, tensorflow taken, cpu slower');
    expect(measured.candidates.map(({ runMs }) => runMs?.['1'])).toEqual([10, 4, 8]);
    expect(measured.candidates[2]!.reason).toBe('2.0 times the time of tfjs with tensorflow.');
    expect(new Set(stopped)).toEqual(new Set(['wasm', 'tensorflow', 'cpu']));
  });

  it('that are hardly faster than an earlier one do not take its place', async () => {
    expect((await measure({ wasm: { ms: 10 }, tensorflow: { ms: 9.8 } })).measured.taken).toMatchObject({ backend: 'wasm' });
  });

  it('that give other answers than the first are turned down however fast they are', async () => {
    const { measured } = await measure({ wasm: { ms: 10 }, webgpu: { ms: 1, factor: 3.1 } });
    expect(outcomes(measured)).toBe('wasm taken, webgpu differs');
    expect(measured.candidates[1]!.reason).toMatch(/^On test inputs its "y" differs by 0\.\d+\.$/);
    expect(outcomes((await measure({ wasm: { ms: 10 }, webgpu: { ms: 1, output: 'z' } })).measured)).toBe('wasm taken, webgpu differs');
  });

  it('that are not here, or are and do not take the model, say why', async () => {
    const { measured } = await measure({
      wasm: { ms: 1 },
      tensorflow: 'Native TensorFlow is not installed.',
      webgpu: { ms: 1, device: 'cpu' },
      cpu: { ms: 1, refuses: new SlipwayError('INVALID_MODEL', 'cannot be loaded') },
      other: { ms: 1, failsWhenRun: true },
    });
    expect(outcomes(measured)).toBe('wasm taken, tensorflow absent, webgpu absent, cpu failed, other failed');
    expect(measured.candidates.map(({ reason }) => reason)).toEqual([
      '',
      'Native TensorFlow is not installed.',
      'fake',
      'cannot be loaded',
      'no kernel',
    ]);
  });

  it('are not compared when the first takes none of the made-up inputs', async () => {
    const { measured } = await measure({ wasm: { ms: 1, failsWhenRun: true }, cpu: { ms: 1 } });
    expect(measured).toMatchObject({ taken: undefined, problem: 'It takes none of the inputs that are made up.' });
  });
});
