import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createPublishOnce } from '../../../src/jobs/publish.ts';
import type { Registry } from '../../../src/registry/types.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** A registry as far as publishing asks it: versions that lie in a folder and are not in memory. */
function fakeRegistry(models: string, versions: readonly number[]): Registry & { readonly published: string[] } {
  const published: string[] = [];
  return {
    published,
    list: () => [{ name: 'wine', versions: versions.map((version) => ({ version, manifest: undefined })) }],
    folderOf: (model: string, version: number) => join(models, model, String(version)),
    publish: async (model: string) => {
      published.push(model);
      return { version: versions.length + 1 };
    },
  } as unknown as Registry & { readonly published: string[] };
}

describe('publishing of a job', () => {
  it('finds what the job has published already, also when that is not in memory or another manifest is damaged', async () => {
    const models = await temporaryFolder();
    for (const [version, manifest] of [
      [1, JSON.stringify({ lineage: { job: 'a' } })],
      [2, JSON.stringify({ lineage: { job: 'b' } })],
      [3, '{'],
    ] as const) {
      await mkdir(join(models, 'wine', String(version)), { recursive: true });
      await writeFile(join(models, 'wine', String(version), 'slipway.json'), manifest);
    }
    const packageFolder = await temporaryFolder();
    const registry = fakeRegistry(models, [1, 2, 3]);
    const publish = createPublishOnce({ registry, incomingFolder: join(models, '.incoming'), signingKey: undefined });
    const request = { model: 'wine', label: undefined, packageFolder };
    expect(await publish({ ...request, jobId: 'a' })).toEqual({ model: 'wine', version: 1 });
    expect(await publish({ ...request, jobId: 'b' })).toEqual({ model: 'wine', version: 2 });
    expect(registry.published).toEqual([]);
    expect(await publish({ ...request, jobId: 'c' })).toEqual({ model: 'wine', version: 4 });
    expect(registry.published).toEqual(['wine']);
  });
});
