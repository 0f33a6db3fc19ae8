import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { addModels, runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { denseLayer, sequentialTopology, tfjsFiles } from '../helpers/tfjs-model.ts';

interface Version {
  readonly state: string;
  readonly reason: string;
  readonly format: string;
  readonly engine: string;
  readonly engineReason: string;
  readonly signature: unknown;
}

async function version(address: string, name: string): Promise<Version> {
  return (await (await fetch(`${address}/models/${name}/versions/1`)).json()) as Version;
}

/** A repository with one version of a Sequential model without weights. */
async function addLayers(models: string, name: string, layers: readonly object[], manifest: object = {}): Promise<void> {
  const folder = join(models, name, '1');
  await mkdir(folder, { recursive: true });
  const files = tfjsFiles({ format: 'layers-model', modelTopology: sequentialTopology(layers), weights: [] });
  for (const [path, content] of Object.entries(files)) await writeFile(join(folder, path), content);
  await writeFile(join(folder, 'slipway.json'), JSON.stringify(manifest));
}

const cropping = { class_name: 'CenterCrop', config: { name: 'crop', height: 1, width: 1, batch_input_shape: [null, 3, 3, 1] } };

async function filesIn(archive: Response): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.on('entry', ({ name }, stream, next) => {
    buffer(stream).then((content) => {
      files.set(name, content);
      next();
    }, next);
  });
  Readable.fromWeb(archive.body as never)
    .pipe(createGunzip())
    .pipe(reader);
  await new Promise<void>((resolve, reject) => void reader.on('finish', resolve).on('error', reject));
  return files;
}

describe('TF.js layers models', () => {
  it('are served from ONNX Runtime, with the same names and numbers, and the compiled form is kept', async () => {
    const state = await temporaryFolder();
    const { address } = await runningServer(
      ['times-three-layers', 'multi-layers', 'times-three-quantized', 'sequence-layers', 'transformer-layers'],
      { state },
    );
    expect(await version(address, 'times-three-layers')).toMatchObject({
      state: 'ready',
      reason: '',
      format: 'tfjs-layers',
      engine: 'onnx',
      engineReason: expect.stringMatching(/^Compiled from tfjs-layers to ONNX; checked against tfjs with no difference\. The engine onnx/),
    });
    expect(await (await post(address, '/models/times-three-layers/predict', '{"inputs":[[2]]}')).json()).toMatchObject({
      outputs: { y: [[6]] },
    });
    expect((await version(address, 'times-three-quantized')).engine).toBe('onnx');

    for (const name of ['sequence-layers', 'transformer-layers']) expect((await version(address, name)).engine).toBe('onnx');
    const words = await post(address, '/models/transformer-layers/predict', '{"inputs":[[1,2,3,4,5,6]]}');
    const { outputs } = (await words.json()) as { outputs: { mood: number[][] } };
    expect(outputs.mood[0]![0]! + outputs.mood[0]![1]!).toBeCloseTo(1, 5);

    const compiled = join(state, 'compiled');
    const written = async (): Promise<number[]> =>
      Promise.all((await readdir(compiled)).map(async (key) => (await stat(join(compiled, key, 'model.onnx'))).ino));
    const before = await written();
    expect(before).toHaveLength(5);
    const again = await runningServer(['times-three-layers'], { state });
    expect((await version(again.address, 'times-three-layers')).engine).toBe('onnx');
    expect(await written()).toEqual(before);
  });

  it('are served by tfjs when they cannot be compiled, when their manifest asks for it, and when compiling is off', async () => {
    const folder = await temporaryFolder();
    const models = join(folder, 'models');
    await addModels(models, ['times-three-layers']);
    await writeFile(join(models, 'times-three-layers/1/slipway.json'), '{"engine":"tfjs"}');
    await addLayers(models, 'crop', [cropping]);
    await addLayers(models, 'crop-onnx', [cropping], { engine: 'onnx' });
    const { address } = await runningServer([], { models });
    expect(await version(address, 'times-three-layers')).toMatchObject({
      engine: 'tfjs',
      engineReason: expect.stringMatching(/^The engine tfjs, as slipway\.json asks/),
    });
    expect(await version(address, 'crop')).toMatchObject({
      state: 'ready',
      engine: 'tfjs',
      engineReason: expect.stringMatching(/^Not compiled to ONNX: The layer "crop" \(CenterCrop\): .*\. The engine tfjs/),
    });
    expect(await version(address, 'crop-onnx')).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/The layer "crop".*slipway\.json asks for the engine onnx\.$/),
    });

    const off = await runningServer(['times-three-layers'], { compiler: { enabled: false } });
    expect(await version(off.address, 'times-three-layers')).toMatchObject({
      engine: 'tfjs',
      engineReason: expect.stringMatching(/^The engine tfjs/),
    });
  });

  it('are downloaded as ONNX packages, which can be uploaded', async () => {
    const folder = await temporaryFolder();
    const models = join(folder, 'models');
    await addModels(models, ['digits-layers', 'times-three', 'times-three-graph']);
    await writeFile(join(models, 'digits-layers/1/slipway.json'), '{"description":"digits","engine":"tfjs","metrics":{"accuracy":0.99}}');
    await writeFile(join(models, 'digits-layers/1/notes.txt'), 'kept');
    await addLayers(models, 'crop', [cropping]);
    const { address } = await runningServer([], { models });
    const download = (name: string): Promise<Response> => fetch(`${address}/models/${name}/versions/1/package?format=onnx`);

    const archive = await download('digits-layers');
    expect(archive.headers.get('content-disposition')).toBe('attachment; filename="digits-layers-1-onnx.tar.gz"');
    const copy = archive.clone();
    const files = await filesIn(archive);
    expect([...files.keys()]).toEqual(['model.onnx', 'notes.txt', 'slipway.json']);
    expect(JSON.parse(files.get('slipway.json')!.toString())).toEqual({
      description: 'digits',
      metrics: { accuracy: 0.99 },
      files: { 'model.onnx': expect.stringMatching(/^[0-9a-f]{64}$/), 'notes.txt': expect.any(String) },
    });
    const uploaded = await post(address, '/models/exported/versions', await copy.arrayBuffer(), 'application/gzip');
    expect(uploaded.status).toBe(201);
    const [before, after] = [await version(address, 'digits-layers'), await version(address, 'exported')];
    expect(after).toMatchObject({ format: 'onnx', engine: 'onnx' });
    expect(after.signature).toEqual(before.signature);

    expect([...(await filesIn(await download('times-three'))).keys()]).toContain('model.onnx');
    expect(await failureOf(await download('times-three-graph'))).toMatchObject({
      status: 501,
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('tfjs-graph'),
    });
    expect(await failureOf(await download('crop'))).toMatchObject({
      status: 501,
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('"crop"'),
    });
    expect((await fetch(`${address}/models/crop/versions/1/package?format=tflite`)).status).toBe(400);
  });

  it('that are damaged fail with the reason that their own engine gives', async () => {
    const folder = await temporaryFolder();
    const models = join(folder, 'models');
    await addLayers(models, 'lost', [denseLayer('d', 1, { batch_input_shape: [null, 2] })]);
    const { address } = await runningServer([], { models });
    expect(await version(address, 'lost')).toMatchObject({ state: 'failed', reason: expect.stringContaining('weights are not set') });
  });
});
