import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { tarOf, tarOfEntries, zipOf } from '../helpers/archives.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/models/', import.meta.url));

interface Version {
  readonly version: number;
  readonly state: string;
  readonly reason: string;
  readonly engine?: string;
  readonly backend?: string;
  readonly device?: string;
  readonly engineReason?: string;
  readonly memoryBytes?: number;
  readonly signature?: { inputs: { name: string; dtype: string; shape: number[] }[] };
}

interface Model {
  readonly name: string;
  readonly defaultVersion?: number;
  readonly labels: Record<string, number>;
  readonly versions: Version[];
}

async function model(address: string, name: string): Promise<Model> {
  const answer = await fetch(`${address}/models/${name}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Model;
}

async function predictThrice(address: string, path: string): Promise<unknown> {
  return (await post(address, path, '{"inputs":[2]}')).json();
}

const timesThree = (): Promise<Buffer> => readFile(join(FIXTURES, 'times-three/1/model.onnx'));

describe('the model repository', () => {
  it('says which engine and device answer, and why', async () => {
    const { address } = await runningServer(['times-three', 'times-three-graph']);
    const onnx = await model(address, 'times-three');
    expect(onnx).toMatchObject({
      name: 'times-three',
      defaultVersion: 1,
      versions: [{ version: 1, state: 'ready', engine: 'onnx', device: 'cpu' }],
    });
    expect(onnx.versions[0]!.engineReason).not.toBe('');
    expect(onnx.versions[0]!.memoryBytes).toBeGreaterThan(10_000_000);
    expect(onnx.versions[0]!.signature!.inputs).toEqual([{ name: 'x', dtype: 'FP32', shape: [-1] }]);
    expect((await model(address, 'times-three-graph')).versions[0]).toMatchObject({ state: 'ready', engine: 'tfjs', backend: 'wasm' });
    const ready = (await (await fetch(`${address}/readyz`)).json()) as { status: string; models: { name: string }[] };
    expect(ready.status).toBe('ready');
    expect(ready.models.map(({ name }) => name)).toEqual(['times-three', 'times-three-graph']);
  });

  it('serves what is dropped in and lets go of what is deleted, beside a broken model', async () => {
    const { address, models } = await runningServer(['times-three', 'broken-onnx']);
    const broken = await model(address, 'broken-onnx');
    expect(broken.versions[0]).toMatchObject({ state: 'failed' });
    expect(broken.versions[0]!.reason).toContain('model.onnx');
    expect(await failureOf(await post(address, '/models/broken-onnx/predict', '{"inputs":[1]}'))).toMatchObject({
      status: 409,
      code: 'MODEL_FAILED',
    });
    expect((await fetch(`${address}/readyz`)).status).toBe(200);

    for (const name of ['times-three-layers', 'times-three-graph']) {
      await cp(join(FIXTURES, name), join(models, name), { recursive: true });
    }
    for (const [name, inputs] of [
      ['times-three-layers', '[[2]]'],
      ['times-three-graph', '[2]'],
    ]) {
      const answers = async (): Promise<void> =>
        expect((await post(address, `/models/${name}/predict`, `{"inputs":${inputs}}`)).status).toBe(200);
      await vi.waitFor(answers, { timeout: 15_000, interval: 50 });
    }
    await rm(join(models, 'times-three-layers'), { recursive: true });
    await vi.waitFor(async () => expect((await fetch(`${address}/models/times-three-layers`)).status).toBe(404), {
      timeout: 15_000,
      interval: 50,
    });
    expect(await predictThrice(address, '/models/times-three/predict')).toMatchObject({ outputs: { y: [6] } });
  });

  it('unloads, ends the process, and loads again', async () => {
    const { address } = await runningServer(['times-three']);
    const unloaded = (await (await post(address, '/models/times-three/unload')).json()) as Model;
    expect(unloaded.versions[0]).toMatchObject({ state: 'unloaded' });
    expect(await failureOf(await post(address, '/models/times-three/predict', '{"inputs":[1]}'))).toMatchObject({
      status: 409,
      code: 'MODEL_UNLOADED',
    });
    const loaded = (await (await post(address, '/models/times-three/load')).json()) as Model;
    expect(loaded.versions[0]).toMatchObject({ state: 'ready' });
    expect(await predictThrice(address, '/models/times-three/predict')).toMatchObject({ outputs: { y: [6] } });
    expect(await failureOf(await post(address, '/models/nothing/load'))).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND' });
  });

  it('sets labels that requests and restarts follow, and removes them', async () => {
    const { address, models } = await runningServer(['times-three']);
    const put = (label: string, body: string): Promise<Response> =>
      fetch(`${address}/models/times-three/labels/${label}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body });
    expect(((await (await put('stable', '{"version":1}')).json()) as Model).labels).toEqual({ stable: 1 });
    expect(JSON.parse(await readFile(join(models, 'times-three/slipway-model.json'), 'utf8'))).toMatchObject({ labels: { stable: 1 } });
    expect(await predictThrice(address, '/models/times-three/predict?label=stable')).toMatchObject({ version: 1 });
    expect(await failureOf(await put('stable', '{"version":7}'))).toMatchObject({ status: 404, code: 'VERSION_NOT_FOUND' });
    expect(await failureOf(await put('stable', '{"version":"1"}'))).toMatchObject({ status: 400, details: [{ path: 'version' }] });
    expect(await failureOf(await put('stable', '{}'))).toMatchObject({ status: 400, code: 'INVALID_REQUEST' });
    const removed = await fetch(`${address}/models/times-three/labels/stable`, { method: 'DELETE' });
    expect(((await removed.json()) as Model).labels).toEqual({});
    expect(await failureOf(await post(address, '/models/times-three/predict?label=stable', '{"inputs":[1]}'))).toMatchObject({
      code: 'LABEL_NOT_FOUND',
    });
  });
});

describe('packages', () => {
  it('takes an uploaded archive, serves it, gives it back, takes it again and deletes it', async () => {
    const { address, models } = await runningServer([]);
    const upload = await tarOf({ 'model.onnx': await timesThree(), 'slipway.json': '{"description":"Three times as much."}' });
    const created = await post(address, '/models/triple/versions', new Uint8Array(upload), 'application/x-tar');
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe('/models/triple/versions/1');
    expect(await created.json()).toMatchObject({ version: 1, state: 'ready', manifest: { description: 'Three times as much.' } });
    expect(await predictThrice(address, '/models/triple/predict')).toMatchObject({ outputs: { y: [6] } });

    const download = await fetch(`${address}/models/triple/versions/1/package`);
    expect(download.headers.get('content-type')).toBe('application/gzip');
    const packed = await download.bytes();
    expect(await (await fetch(`${address}/models/triple/versions/1/package`)).bytes()).toEqual(packed);
    const again = await post(address, '/models/triple/versions', packed, 'application/gzip');
    const slip = await fetch(`${address}/models/triple/versions/1/package?format=slip`);
    expect(slip.headers.get('content-disposition')).toBe('attachment; filename="triple-1.slip"');
    const sealed = await slip.bytes();
    const copied = await post(address, '/models/copy/versions', sealed, 'application/octet-stream');
    expect(await copied.json()).toMatchObject({ version: 1, state: 'ready', manifest: { description: 'Three times as much.' } });
    expect(await (await fetch(`${address}/models/copy/versions/1/package?format=slip`)).bytes()).toEqual(sealed);
    sealed[sealed.length - 1]! ^= 1;
    expect(await failureOf(await post(address, '/models/copy/versions', sealed, 'application/octet-stream'))).toMatchObject({
      status: 400,
      code: 'DIGEST_MISMATCH',
      message: expect.stringContaining('slipway.json'),
    });
    expect((await fetch(`${address}/models/copy/versions/1`, { method: 'DELETE' })).ok).toBe(true);
    expect(await again.json()).toMatchObject({ version: 2, state: 'ready' });
    expect((await post(address, '/models/triple/versions?version=5', new Uint8Array(await timesThree()), 'application/onnx')).status).toBe(
      201,
    );
    expect(await failureOf(await post(address, '/models/triple/versions?version=5', packed, 'application/gzip'))).toMatchObject({
      status: 409,
      code: 'VERSION_EXISTS',
    });

    for (const version of [1, 2, 5]) {
      expect((await fetch(`${address}/models/triple/versions/${version}`, { method: 'DELETE' })).status).toBe(204);
    }
    expect((await fetch(`${address}/models/triple`)).status).toBe(404);
    expect((await readdir(models)).filter((name) => !name.startsWith('.'))).toEqual([]);
  });

  it('refuses a bad package with its reason and keeps nothing of it', async () => {
    const { address, models } = await runningServer(['times-three'], {
      limits: { maxUnpackedBytes: 1_000_000, maxUploadBytes: 2_000_000 },
    });
    const good = await timesThree();
    const broken = await readFile(join(FIXTURES, 'broken-onnx/1/model.onnx'));
    const zeros = createGzip();
    zeros.end(await tarOf({ 'model.onnx': Buffer.alloc(1_500_000) }));
    const cases: [what: string, body: Buffer, status: number, code: string][] = [
      ['a path that leads outside', await tarOf({ '../model.onnx': good }), 400, 'INVALID_ARCHIVE'],
      ['an absolute path', await tarOf({ '/model.onnx': good }), 400, 'INVALID_ARCHIVE'],
      ['a link', await tarOfEntries([[{ name: 'model.onnx', type: 'symlink', linkname: '/etc/passwd' }]]), 400, 'INVALID_ARCHIVE'],
      ['a zip with a path that leads outside', zipOf([{ name: '../model.onnx', content: good }]), 400, 'INVALID_ARCHIVE'],
      ['a zip with a link', zipOf([{ name: 'model.onnx', content: '/etc/passwd', mode: 0o120777 }]), 400, 'INVALID_ARCHIVE'],
      ['no archive at all', Buffer.from('this is no archive'), 400, 'INVALID_ARCHIVE'],
      ['a truncated archive', (await tarOf({ 'model.onnx': good })).subarray(0, 700), 400, 'INVALID_ARCHIVE'],
      ['too much inside', await buffer(zeros), 413, 'ARCHIVE_TOO_LARGE'],
      ['no model inside', await tarOf({ 'readme.txt': 'hello' }), 400, 'INVALID_MODEL'],
      ['a manifest with an unknown field', await tarOf({ 'model.onnx': good, 'slipway.json': '{"labels":[]}' }), 400, 'INVALID_MANIFEST'],
      [
        'a wrong digest',
        await tarOf({ 'model.onnx': good, 'slipway.json': JSON.stringify({ files: { 'model.onnx': '0'.repeat(64) } }) }),
        400,
        'DIGEST_MISMATCH',
      ],
      ['a model that does not load', await tarOf({ 'model.onnx': broken }), 400, 'INVALID_MODEL'],
    ];
    for (const [what, body, status, code] of cases) {
      expect(
        await failureOf(await post(address, '/models/new/versions', new Uint8Array(body), 'application/octet-stream')),
        what,
      ).toMatchObject({ status, code });
    }
    expect(await failureOf(await post(address, '/models/new/versions', new Uint8Array(2_000_001), 'application/gzip'))).toMatchObject({
      status: 413,
      code: 'BODY_TOO_LARGE',
    });
    expect(await failureOf(await post(address, '/models/new/versions', 'x', 'text/plain'))).toMatchObject({ status: 415 });
    expect((await fetch(`${address}/models/new`)).status).toBe(404);
    expect(existsSync(join(models, 'new'))).toBe(false);
    expect(existsSync(join(models, '.incoming')) ? await readdir(join(models, '.incoming')) : []).toEqual([]);
  });

  it('keeps nothing of an upload whose client goes away', async () => {
    const { address, models } = await runningServer([]);
    const body = await tarOf({ 'model.onnx': await timesThree() });
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `POST /models/gone/versions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-tar\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.subarray(0, body.length - 600));
    await vi.waitFor(async () => expect(await readdir(join(models, '.incoming'))).toHaveLength(1), { timeout: 10_000 });
    socket.destroy();
    await vi.waitFor(async () => expect(await readdir(join(models, '.incoming'))).toEqual([]), { timeout: 10_000 });
    expect(existsSync(join(models, 'gone'))).toBe(false);
  });
});

describe('the documentation', () => {
  it('serves openapi.yaml and a page that loads nothing from outside', async () => {
    const { address } = await runningServer([]);
    const yaml = await fetch(`${address}/openapi.yaml`);
    expect(yaml.headers.get('content-type')).toContain('application/yaml');
    expect(await yaml.text()).toBe(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'));
    const page = await fetch(`${address}/docs`);
    const html = await page.text();
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(html).not.toMatch(/https?:\/\//);
    for (const [, asset] of html.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      expect((await fetch(`${address}${asset}`)).status, asset).toBe(200);
    }
  });
});
