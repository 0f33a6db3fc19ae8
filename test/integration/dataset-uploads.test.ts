import { once } from 'node:events';
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as tus from 'tus-js-client';
import { describe, expect, it, vi } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));

/** Uploads with the client of the tus project. @param stopAt gives up when so many bytes are there. */
function tusUpload(address: string, uploadUrl?: string, stopAt = Infinity): Promise<string> {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(wine, {
      endpoint: `${address}/dataset-uploads`,
      ...(uploadUrl !== undefined && { uploadUrl }),
      chunkSize: 5_000,
      retryDelays: null,
      metadata: { filename: 'wine.csv', filetype: 'text/csv' },
      onError: reject,
      onSuccess: () => resolve(upload.url!),
      onChunkComplete(_size, done) {
        if (done >= stopAt && done < wine.length) void upload.abort().then(() => resolve(upload.url!), reject);
      },
    });
    upload.start();
  });
}

const idOf = (url: string): string => url.slice(url.lastIndexOf('/') + 1);

function order(address: string, body: unknown): Promise<Response> {
  return post(address, '/datasets', JSON.stringify(body));
}

function send(
  address: string,
  id: string,
  offset: number | string,
  body: Uint8Array<ArrayBuffer>,
  type = 'application/offset+octet-stream',
): Promise<Response> {
  return fetch(`${address}/dataset-uploads/${id}`, {
    method: 'PATCH',
    headers: { 'content-type': type, 'upload-offset': String(offset) },
    body,
  });
}

async function begin(address: string, length: number): Promise<string> {
  const created = await fetch(`${address}/dataset-uploads`, { method: 'POST', headers: { 'upload-length': String(length) } });
  expect(created.status).toBe(201);
  return idOf(created.headers.get('location')!);
}

async function offsetOf(address: string, id: string): Promise<number> {
  const answer = await fetch(`${address}/dataset-uploads/${id}`, { method: 'HEAD' });
  expect(answer.status).toBe(200);
  return Number(answer.headers.get('upload-offset'));
}

describe('resumable uploads', () => {
  it('go on where they were after a restart, by a client of the tus protocol, and become a dataset', async () => {
    const first = await runningServer([]);
    const url = await tusUpload(first.address, undefined, 5_000);
    const id = idOf(url);
    expect(await failureOf(await order(first.address, { uploads: [id] }))).toMatchObject({ status: 409, code: 'UPLOAD_CONFLICT' });
    await first.server.stop();
    const { address, state } = await runningServer([], { state: first.state });
    expect(await offsetOf(address, id)).toBeGreaterThanOrEqual(5_000);
    await tusUpload(address, `${address}/dataset-uploads/${id}`);
    const created = await order(address, { uploads: [id], types: { proline: 'number' }, maxSkipped: 1 });
    expect(created.status).toBe(201);
    expect(await created.json()).toMatchObject({ name: 'wine', rows: 178 });
    expect(await readdir(join(state, 'datasets', '.uploads'))).toEqual([]);
    expect(await failureOf(await order(address, { uploads: [id] }))).toMatchObject({ status: 404, code: 'UPLOAD_NOT_FOUND' });
  });

  it('keep what has come of a piece that breaks off', async () => {
    const { address } = await runningServer([]);
    const id = await begin(address, wine.length);
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `PATCH /dataset-uploads/${id} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/offset+octet-stream\r\nupload-offset: 0\r\ncontent-length: ${wine.length}\r\n\r\n`,
    );
    socket.write(wine.subarray(0, 7_000));
    await vi.waitFor(async () => expect(await offsetOf(address, id)).toBe(7_000), { timeout: 10_000 });
    // One piece at a time.
    expect(await failureOf(await send(address, id, 7_000, wine.subarray(7_000)))).toMatchObject({ status: 409, code: 'UPLOAD_CONFLICT' });
    socket.destroy();
    await vi.waitFor(async () => expect((await send(address, id, 7_000, wine.subarray(7_000))).status).toBe(204), { timeout: 10_000 });
    expect(await (await order(address, { name: 'wine', uploads: [id] })).json()).toMatchObject({ rows: 178 });
  });

  it('refuse what does not fit, and are given up', async () => {
    const { address } = await runningServer([], { datasets: { maxUploadBytes: 20_000 } });
    const options = await fetch(`${address}/dataset-uploads`, { method: 'OPTIONS' });
    expect(options.status).toBe(204);
    expect(options.headers.get('tus-version')).toBe('1.0.0');
    expect(options.headers.get('tus-max-size')).toBe('20000');
    const id = await begin(address, 10);
    const cases: [what: string, send: () => Promise<Response>, status: number, code: string][] = [
      [
        'a file over the limit',
        () => fetch(`${address}/dataset-uploads`, { method: 'POST', headers: { 'upload-length': '20001' } }),
        413,
        'BODY_TOO_LARGE',
      ],
      ['no length', () => fetch(`${address}/dataset-uploads`, { method: 'POST' }), 400, 'INVALID_REQUEST'],
      ['another place', () => send(address, id, 5, new Uint8Array(5)), 409, 'UPLOAD_CONFLICT'],
      ['no place', () => send(address, id, 'x', new Uint8Array(5)), 400, 'INVALID_REQUEST'],
      ['more than the file has', () => send(address, id, 0, new Uint8Array(11)), 413, 'BODY_TOO_LARGE'],
      ['another type', () => send(address, id, 0, new Uint8Array(5), 'text/csv'), 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['an id that is none', () => send(address, '..%2f..%2fpasswd', 0, new Uint8Array(5)), 404, 'UPLOAD_NOT_FOUND'],
    ];
    for (const [what, request, status, code] of cases) expect(await failureOf(await request()), what).toMatchObject({ status, code });
    expect((await fetch(`${address}/dataset-uploads/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await fetch(`${address}/dataset-uploads/${id}`, { method: 'HEAD' })).status).toBe(404);
  });

  it('expire', async () => {
    const { address, state, server } = await runningServer([]);
    const id = await begin(address, 10);
    await server.stop();
    const long = new Date(Date.now() - 25 * 3_600_000);
    await utimes(join(state, 'datasets', '.uploads', `${id}.bin`), long, long);
    const again = await runningServer([], { state });
    expect((await fetch(`${again.address}/dataset-uploads/${id}`, { method: 'HEAD' })).status).toBe(404);
    expect(await readdir(join(state, 'datasets', '.uploads'))).toEqual([]);
  });
});

describe('datasets by a path', () => {
  it('are read in place under the folder of the setting, and from nowhere else', async () => {
    const root = await temporaryFolder();
    const folder = join(root, 'data');
    await mkdir(join(folder, 'deep'), { recursive: true });
    await writeFile(join(folder, 'deep', 'wine.csv'), wine);
    await writeFile(join(root, 'secret.csv'), 'a,b\n1,2\n');
    await symlink(join(root, 'secret.csv'), join(folder, 'link.csv'));
    const { address } = await runningServer([], { datasets: { folder } });
    const created = await order(address, { path: 'deep/wine.csv' });
    expect(await created.json()).toMatchObject({ name: 'wine', rows: 178 });
    expect(await readFile(join(folder, 'deep', 'wine.csv'))).toEqual(wine);
    for (const path of ['../secret.csv', 'link.csv', join(root, 'secret.csv'), 'missing.csv', '.', 'deep/wine.csv/x']) {
      expect(await failureOf(await order(address, { name: 'x', path })), path).toMatchObject({
        status: 400,
        code: 'INVALID_REQUEST',
        details: [{ path: 'path' }],
      });
    }
    expect(await failureOf(await order(address, { name: 'x' }))).toMatchObject({ status: 400 });
    expect(await failureOf(await order(address, { name: 'x', path: 'deep/wine.csv', uploads: ['1'] }))).toMatchObject({ status: 400 });
  });

  it('are off unless there is such a folder', async () => {
    const { address } = await runningServer([]);
    expect(await failureOf(await order(address, { path: 'wine.csv' }))).toMatchObject({
      status: 400,
      message: expect.stringContaining('datasets.folder'),
    });
  });
});
