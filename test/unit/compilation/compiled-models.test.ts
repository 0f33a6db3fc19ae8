import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { createCompiledModels, type CompiledModels, type CompiledModelsOptions } from '../../../src/compilation/compiled-models.ts';
import type { CompileRequest } from '../../../src/compilation/result.ts';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { modelFolder } from '../../helpers/fixture-models.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** A layers model as far as the cache looks into it: its bytes. */
const version = (byte = 0): Promise<string> =>
  modelFolder({
    'model.json': JSON.stringify({ format: 'layers-model', modelTopology: {}, weightsManifest: [{ paths: ['weights.bin'], weights: [] }] }),
    'weights.bin': Uint8Array.of(byte),
    'slipway.json': '{}',
  });

interface Cache {
  readonly folder: string;
  readonly models: CompiledModels;
  /** What the fake compiler was asked for. */
  readonly requests: CompileRequest[];
  readonly warnings: unknown[];
}

type FakeCompile = CompiledModelsOptions['compile'];

const writes =
  (bytes: number): FakeCompile =>
  async ({ target }) => {
    await writeFile(join(target, 'model.onnx'), Buffer.alloc(bytes));
    return { outcome: 'checked', largestDifference: 0 };
  };

/** A cache whose compiler is a fake. */
async function cache(compile: FakeCompile = writes(10), options: { folder?: string; maxCacheBytes?: number } = {}): Promise<Cache> {
  const folder = options.folder ?? join(await temporaryFolder(), 'compiled');
  const requests: CompileRequest[] = [];
  const warnings: unknown[] = [];
  const models = createCompiledModels({
    folder,
    maxCacheBytes: options.maxCacheBytes ?? 1e6,
    compile: (request, signal) => {
      requests.push(request);
      return compile(request, signal);
    },
    logger: { debug() {}, info() {}, warn: (details) => void warnings.push(details), error() {} },
  });
  return { folder, models, requests, warnings };
}

describe('compiled models', () => {
  it('are made once for the same files, by however many at once, and found by the next server', async () => {
    const { models, requests, folder } = await cache();
    const [one, same, other] = [await version(1), await version(1), await version(2)];
    const results = await Promise.all([models.compiled(one, 1), models.compiled(same, 1), models.compiled(other, 1)]);
    expect(results[0]).toEqual(results[1]);
    expect(results[0]).toEqual({ folder: expect.stringContaining(folder), result: { outcome: 'checked', largestDifference: 0 } });
    expect(results[2].folder).not.toBe(results[0].folder);
    expect(requests).toHaveLength(2);
    expect(await readdir(results[0].folder!)).toEqual(['compiled.json', 'model.onnx']);

    const next = await cache(writes(1), { folder });
    expect(await next.models.compiled(same, 1)).toEqual(results[0]);
    expect(next.requests).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('that are made side by side do not get in each other’s way', async () => {
    const { models, warnings } = await cache(writes(100), { maxCacheBytes: 1 });
    const versions = await Promise.all(Array.from({ length: 24 }, (_version, byte) => version(byte)));
    const results = await Promise.all(versions.map((folder) => models.compiled(folder, 1)));
    expect(results.filter(({ folder }) => folder === undefined)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('do not depend on the manifest', async () => {
    const { models, requests } = await cache();
    const folder = await version();
    await models.compiled(folder, 1);
    await writeFile(join(folder, 'slipway.json'), '{"description":"another"}');
    await models.compiled(folder, 1);
    expect(requests).toHaveLength(1);
    await writeFile(join(folder, 'weights.bin'), 'x');
    await models.compiled(folder, 1);
    expect(requests).toHaveLength(2);
  });

  it('that were refused for their own sake are not tried again', async () => {
    const { models, requests, folder, warnings } = await cache(async ({ target }) => {
      await writeFile(join(target, 'model.onnx'), 'half');
      throw new SlipwayError('COMPILE_FAILED', 'The layer "odd" cannot be compiled.');
    });
    const refused = { folder: undefined, refusal: 'The layer "odd" cannot be compiled' };
    expect(await models.compiled(await version(), 1)).toEqual(refused);
    expect(await models.compiled(await version(), 1)).toEqual(refused);
    expect(requests).toHaveLength(1);
    const [entry] = await readdir(folder);
    expect(await readdir(join(folder, entry!))).toEqual(['compiled.json']);
    expect(warnings).toEqual([]);
  });

  it('whose process failed are tried again, and the log says so', async () => {
    const { models, requests, folder, warnings } = await cache(() => Promise.reject(new SlipwayError('JOB_CRASHED', 'The process ended.')));
    expect(await models.compiled(await version(), 1)).toEqual({ folder: undefined, refusal: 'The process ended' });
    await models.compiled(await version(), 1);
    expect(requests).toHaveLength(2);
    expect(warnings).toHaveLength(2);
    expect(await readdir(folder)).toEqual([]);
  });

  it('are refused, not thrown, when their files cannot be read', async () => {
    const { models } = await cache();
    const folder = await modelFolder({ 'model.json': '{' });
    expect(await models.compiled(folder, 1)).toMatchObject({
      folder: undefined,
      refusal: expect.stringContaining('model.json is not valid JSON'),
    });
  });

  it('leave when there are too many bytes, the least recently used first, but none that serves', async () => {
    const { models, folder } = await cache(writes(1000), { maxCacheBytes: 3500 });
    const keys: string[] = [];
    for (const byte of [1, 2]) keys.push((await models.compiled(await version(byte), 1)).folder!);
    await utimes(join(keys[1]!, 'compiled.json'), new Date(0), new Date(0));
    // Another server, for which none of these serves yet, finds the first one.
    const next = await cache(writes(1000), { folder, maxCacheBytes: 3500 });
    await next.models.compiled(await version(1), 1);
    for (const byte of [3, 4]) keys.push((await next.models.compiled(await version(byte), 1)).folder!);
    const left = (await readdir(folder)).map((name) => join(folder, name));
    expect(new Set(left)).toEqual(new Set([keys[0], keys[2], keys[3]]));
    // Those that serve stay, over the limit as they are.
    await next.models.compiled(await version(5), 1);
    expect(await readdir(folder)).toHaveLength(4);
  });

  it('end with the server', async () => {
    const { models, warnings, requests } = await cache(
      (_request, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended')))),
    );
    const result = models.compiled(await version(), 1);
    await vi.waitFor(() => expect(requests).toHaveLength(1));
    await models.stop();
    expect(await result).toEqual({ folder: undefined, refusal: 'ended' });
    expect(warnings).toEqual([]);
  });

  it('replace an entry that was cut short', async () => {
    const { models, folder, requests } = await cache();
    const { folder: entry } = await models.compiled(await version(), 1);
    await writeFile(join(entry!, 'compiled.json'), '{"resu');
    await mkdir(join(folder, 'foreign'));
    for (const name of ['.draft-old', '.draft-new']) await mkdir(join(folder, name));
    await utimes(join(folder, '.draft-old'), new Date(0), new Date(0));
    expect((await models.compiled(await version(), 1)).folder).toBe(entry);
    expect(requests).toHaveLength(2);
    expect((await readdir(folder)).filter((name) => name !== basename(entry!))).toEqual(['.draft-new', 'foreign']);
    expect(JSON.parse(await readFile(join(entry!, 'compiled.json'), 'utf8'))).toEqual({
      result: { outcome: 'checked', largestDifference: 0 },
    });
  });
});
