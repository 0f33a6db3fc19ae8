import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelManifest, readVersionFolder, writeModelManifest } from '../../../src/packages/read-version.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('readVersionFolder', () => {
  it.each([
    ['an ONNX model', { 'model.onnx': 'm' }, 'onnx'],
    ['a layers model', { 'model.json': '{"format":"layers-model"}' }, 'tfjs-layers'],
    ['a graph model', { 'model.json': '{"format":"graph-model"}' }, 'tfjs-graph'],
    ['a layers model without a format', { 'model.json': '{"modelTopology":{"model_config":{}}}' }, 'tfjs-layers'],
    ['a graph model without a format', { 'model.json': '{"modelTopology":{"node":[]}}' }, 'tfjs-graph'],
  ])('knows %s', async (_what, files, format) => {
    expect(await readVersionFolder(await folderOf(files))).toMatchObject({ format, manifest: {} });
  });

  it('reads the manifest, checks its digests and counts the files', async () => {
    const manifest = JSON.stringify({
      description: 'a model',
      files: { 'model.onnx': sha256('weights'), 'more/data.bin': sha256('data') },
    });
    const found = await readVersionFolder(
      await folderOf({ 'model.onnx': 'weights', 'more/data.bin': 'data', 'slipway.json': manifest }),
      undefined,
    );
    expect(found).toMatchObject({
      format: 'onnx',
      manifest: { description: 'a model' },
      files: ['model.onnx', 'more/data.bin', 'slipway.json'],
    });
    expect(found.bytes).toBe(11 + manifest.length);
  });

  const bad: [what: string, files: Record<string, string>, code: string, message: RegExp][] = [
    ['an empty folder', {}, 'INVALID_MODEL', /none of model\.onnx, model\.json/],
    ['two models', { 'model.onnx': '', 'model.json': '{}' }, 'INVALID_MODEL', /model\.onnx and model\.json/],
    ['a model.json that is no JSON', { 'model.json': '{' }, 'INVALID_MODEL', /model\.json is not valid JSON/],
    ['a model.json of another kind', { 'model.json': '{"a":1}' }, 'INVALID_MODEL', /neither/],
    ['a manifest that is no JSON', { 'model.onnx': '', 'slipway.json': '{' }, 'INVALID_MANIFEST', /slipway\.json is not valid JSON/],
    [
      'a manifest with a wrong field',
      { 'model.onnx': '', 'slipway.json': '{"metrics":{"accuracy":"high"}}' },
      'INVALID_MANIFEST',
      /slipway\.json: metrics\.accuracy/,
    ],
    ['a manifest with an unknown field', { 'model.onnx': '', 'slipway.json': '{"colour":"red"}' }, 'INVALID_MANIFEST', /colour/],
    [
      'a changed file',
      { 'model.onnx': 'x', 'slipway.json': JSON.stringify({ files: { 'model.onnx': sha256('y') } }) },
      'DIGEST_MISMATCH',
      /^model\.onnx has/,
    ],
    [
      'a file that is listed and missing',
      { 'model.onnx': 'x', 'slipway.json': JSON.stringify({ files: { 'data.bin': sha256('y') } }) },
      'INVALID_MODEL',
      /data\.bin/,
    ],
    [
      'a listed file outside',
      { 'model.onnx': 'x', 'slipway.json': JSON.stringify({ files: { '../x': sha256('y') } }) },
      'INVALID_MODEL',
      /\.\.\/x/,
    ],
  ];

  it.each(bad)('refuses %s', async (_what, files, code, message) => {
    const failure: unknown = await readVersionFolder(await folderOf(files)).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect((failure as Error).message).toMatch(message);
  });

  it('refuses a symbolic link that leads out of the folder', async () => {
    const folder = await folderOf({ 'model.onnx': 'x' });
    const outside = await folderOf({ secret: 's' });
    await symlink(join(outside, 'secret'), join(folder, 'weights.bin'));
    await expect(readVersionFolder(folder)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining('weights.bin'),
    });
  });
});

describe('the manifest of a model', () => {
  it('has defaults when there is none', async () => {
    expect(await readModelManifest(await temporaryFolder())).toEqual({ versionPolicy: { latest: 1 }, labels: {} });
  });

  it('is read as it was written, and written as a whole', async () => {
    const folder = await temporaryFolder();
    const manifest = { versionPolicy: { versions: [1, 3] }, labels: { stable: 1 }, threads: 2 };
    await writeModelManifest(folder, manifest);
    expect(await readModelManifest(folder)).toEqual(manifest);
    expect(await readdir(folder)).toEqual(['slipway-model.json']);
    expect(JSON.parse(await readFile(join(folder, 'slipway-model.json'), 'utf8'))).toEqual(manifest);
  });

  it.each(['{"versionPolicy":{"latest":0}}', '{"labels":{"a b":1}}', '{"labels":{"a":0}}', '[]', '{'])('refuses %s', async (text) => {
    await expect(readModelManifest(await folderOf({ 'slipway-model.json': text }))).rejects.toMatchObject({ code: 'INVALID_MANIFEST' });
  });
});
