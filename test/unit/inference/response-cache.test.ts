import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { createResponseCache, requestDigest, type ResponseCache } from '../../../src/inference/response-cache.ts';
import type { ReadyVersion } from '../../../src/registry/types.ts';
import type { Completion, Work } from '../../../src/scheduler/types.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';
import { bytes, fp32 } from '../../helpers/tensors.ts';

const BIG = 1_000_000;

/** A version without a runner, for a cache that only tells versions apart. */
function fakeVersion(model = 'm', manifest: ReadyVersion['manifest'] = {}): ReadyVersion {
  return { model, version: 1, manifest } as ReadyVersion;
}

function work(x: Tensor, more: Partial<Work> = {}): Work {
  return { inputs: new Map([['x', x]]), outputs: ['y'], deadline: Infinity, priority: 10, client: '', signal: undefined, ...more };
}

function completion(y: Tensor): Completion {
  return { outputs: new Map([['y', y]]), queueMs: 1, computeMs: 2, batchRows: 1, leads: true };
}

/** Runs that count themselves and answer with their number. */
function counting(elements = 1): { readonly run: () => Promise<Completion>; readonly count: () => number } {
  let runs = 0;
  return { run: async () => completion(fp32(Array(elements).fill((runs += 1)))), count: () => runs };
}

async function valueOf(cache: ResponseCache, version: ReadyVersion, x: number, run: () => Promise<Completion>): Promise<unknown> {
  const { outputs, cache: times } = await cache.complete(version, work(fp32([x])), run);
  return [times?.outcome, outputs.get('y')?.data[0]];
}

describe('requestDigest', () => {
  const digest = (inputs: Record<string, Tensor>, outputs = ['y']): string => requestDigest(new Map(Object.entries(inputs)), outputs);

  it('is the same for equal inputs in any order and in windows on other buffers', () => {
    const a = fp32([1, 2]);
    const window: Tensor = { ...a, data: Float32Array.of(9, 1, 2, 9).subarray(1, 3) };
    expect(digest({ a: window, b: fp32([3]) })).toBe(digest({ b: fp32([3]), a }));
  });

  it('differs with everything that an answer depends on', () => {
    const x = fp32([1, 2]);
    const digests = [
      digest({ x }),
      digest({ x: fp32([1, 3]) }),
      digest({ x: fp32([1, 2], [2, 1]) }),
      digest({ z: x }),
      digest({ x: { dtype: 'INT32', shape: [2], data: new Int32Array(Float32Array.of(1, 2).buffer) } }),
      digest({ x }, ['z']),
      digest({ x }, ['y', 'z']),
      digest({ x, z: fp32([]) }),
      digest({ x: fp32([0]) }),
      digest({ x: fp32([-0]) }),
      digest({ x: bytes(['ab', 'c']) }),
      digest({ x: bytes(['a', 'bc']) }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe('createResponseCache', () => {
  it('keeps of an answer that is a window on a large buffer no more than the answer', async () => {
    const cache = createResponseCache(BIG);
    const window = { dtype: 'BYTES', shape: [1], data: [Buffer.alloc(BIG).subarray(10, 15)] } as const;
    const run = async (): Promise<Completion> => completion(window);
    await cache.complete(fakeVersion(), work(fp32([5])), run);
    const version = fakeVersion();
    for (const outcome of ['miss', 'hit']) {
      const { outputs, cache: times } = await cache.complete(version, work(fp32([5])), run);
      expect(times?.outcome).toBe(outcome);
      if (outcome === 'hit') expect((outputs.get('y')!.data[0] as Uint8Array).buffer.byteLength).toBe(5);
    }
  });

  it('runs a request again whose equal one a full queue has not let in: that tells by client', async () => {
    const cache = createResponseCache(BIG);
    const version = fakeVersion();
    const full = Promise.withResolvers<Completion>();
    const first = cache.complete(version, work(fp32([5]), { client: 'greedy' }), () => full.promise);
    const second = cache.complete(version, work(fp32([5]), { client: 'modest' }), counting().run);
    full.reject(new SlipwayError('QUEUE_FULL', 'full'));
    await expect(first).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    expect((await second).outputs.get('y')!.data[0]).toBe(1);
  });

  it('answers an equal request from memory, with the same values and no time of a run', async () => {
    const cache = createResponseCache(BIG);
    const version = fakeVersion();
    const { run, count } = counting();
    expect(await cache.complete(version, work(fp32([5])), run)).toMatchObject({
      queueMs: 1,
      computeMs: 2,
      leads: true,
      cache: { outcome: 'miss' },
    });
    expect(await cache.complete(version, work(fp32([5])), run)).toMatchObject({
      queueMs: 0,
      computeMs: 0,
      leads: false,
      cache: { outcome: 'hit' },
    });
    expect(await valueOf(cache, version, 5, run)).toEqual(['hit', 1]);
    expect(await valueOf(cache, version, 6, run)).toEqual(['miss', 2]);
    expect(count()).toBe(2);
    expect(cache.statistics).toMatchObject({ outcomes: { hit: 2, shared: 0, miss: 2 }, entries: 2, evictions: 0 });
  });

  it('keeps a copy of its own, and no more than the tensor', async () => {
    const cache = createResponseCache(BIG);
    const buffer = new Float32Array(100_000).fill(7);
    const run = async (): Promise<Completion> => completion({ dtype: 'FP32', shape: [2], data: buffer.subarray(10, 12) });
    await cache.complete(fakeVersion('n'), work(fp32([1])), run);
    const version = fakeVersion();
    await cache.complete(version, work(fp32([1])), run);
    buffer.fill(0);
    expect(await valueOf(cache, version, 1, run)).toEqual(['hit', 7]);
    expect(cache.statistics.bytes).toBeLessThan(4_000);
  });

  it('stays within its bytes: what was not used for longest leaves, and what is larger than all of it is not kept', async () => {
    const cache = createResponseCache(10_000);
    const version = fakeVersion();
    const { run } = counting(1_000); // 4,000 bytes each
    await valueOf(cache, version, 1, run);
    await valueOf(cache, version, 2, run);
    expect(await valueOf(cache, version, 1, run)).toEqual(['hit', 1]);
    await valueOf(cache, version, 3, run);
    expect(cache.statistics.bytes).toBeLessThanOrEqual(10_000);
    expect(await valueOf(cache, version, 1, run)).toEqual(['hit', 1]);
    expect(await valueOf(cache, version, 2, run)).toEqual(['miss', 4]);
    expect(cache.statistics.evictions).toBe(2);
    await valueOf(cache, version, 4, counting(3_000).run);
    expect(cache.statistics).toMatchObject({ entries: 2, evictions: 2 });
  });

  it('forgets what a version has answered when it leaves, changes or is loaded again', async () => {
    const cache = createResponseCache(BIG);
    const [first, again] = [fakeVersion(), fakeVersion()];
    const { run } = counting();
    await valueOf(cache, first, 1, run);
    expect(await valueOf(cache, again, 1, run)).toEqual(['miss', 2]);
    expect(await valueOf(cache, again, 1, run)).toEqual(['hit', 2]);
    cache.forget('m', 1);
    expect(cache.statistics).toMatchObject({ entries: 0, bytes: 0 });
    const late = Promise.withResolvers<Completion>();
    const running = cache.complete(again, work(fp32([2])), () => late.promise);
    cache.forget('m', 1);
    late.resolve(completion(fp32([3])));
    await running;
    expect(cache.statistics.entries).toBe(0);
  });

  it('leaves a model alone whose manifest says so, and does not keep failures', async () => {
    const cache = createResponseCache(BIG);
    const { run, count } = counting();
    const version = fakeVersion('random', { responseCache: false });
    expect(await valueOf(cache, version, 1, run)).toEqual([undefined, 1]);
    expect(await valueOf(cache, version, 1, run)).toEqual([undefined, 2]);
    await expect(valueOf(cache, fakeVersion(), 1, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await valueOf(cache, fakeVersion(), 1, run)).toEqual(['miss', 3]);
    expect(count()).toBe(3);
  });

  it('runs equal requests that come together once, each with its own deadline and client', async () => {
    const cache = createResponseCache(BIG);
    const version = fakeVersion();
    const running = Promise.withResolvers<Completion>();
    const gone = new AbortController();
    const { run, count } = counting();
    const leader = cache.complete(version, work(fp32([1])), () => running.promise);
    const patient = cache.complete(version, work(fp32([1])), run);
    const late = cache.complete(version, work(fp32([1]), { deadline: performance.now() + 1 }), run);
    const leaving = cache.complete(version, work(fp32([1]), { signal: gone.signal }), run);
    const given = Promise.allSettled([late, leaving]);
    gone.abort();
    expect(await given).toMatchObject([{ reason: { code: 'DEADLINE_EXCEEDED' } }, { reason: { code: 'REQUEST_CANCELLED' } }]);
    const first = cache.complete(version, work(fp32([1]), { priority: 1 }), run);
    expect(await first).toMatchObject({ cache: { outcome: 'miss' } });
    expect(count()).toBe(1); // the one of a higher priority
    running.resolve(completion(fp32([9])));
    expect((await leader).cache?.outcome).toBe('miss');
    expect(await patient).toMatchObject({ cache: { outcome: 'shared' }, leads: false });
    expect((await patient).outputs.get('y')?.data[0]).toBe(9);
  });

  it('runs a request on its own when the one it waited for was given up, and shares what is the fault of neither', async () => {
    const cache = createResponseCache(BIG);
    const version = fakeVersion();
    for (const [code, runs] of [
      ['REQUEST_CANCELLED', 1],
      ['INFERENCE_FAILED', 0],
    ] as const) {
      const running = Promise.withResolvers<Completion>();
      const { run, count } = counting();
      const leader = cache.complete(version, work(bytes([code])), () => running.promise);
      const others = [1, 2].map(() => cache.complete(version, work(bytes([code])), run));
      const settled = Promise.allSettled([leader, ...others]);
      running.reject(new SlipwayError(code, 'It was not answered.'));
      const [first, second, third] = await settled;
      expect(first.status).toBe('rejected');
      expect([second?.status, third?.status]).toEqual(runs === 1 ? ['fulfilled', 'fulfilled'] : ['rejected', 'rejected']);
      expect(count()).toBe(runs);
    }
  });
});
