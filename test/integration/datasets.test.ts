import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import type { DatasetDescription } from '../../src/datasets/dataset.ts';
import { openDataset } from '../../src/datasets/open-dataset.ts';
import { readExamples } from '../helpers/datasets.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));

function form(fields: Readonly<Record<string, string>>, content: Uint8Array<ArrayBuffer> = wine, file = 'wine.csv'): FormData {
  const data = new FormData();
  data.append('file', new Blob([content]), file);
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
}

function upload(address: string, data: FormData): Promise<Response> {
  return fetch(`${address}/datasets`, { method: 'POST', body: data });
}

async function leftovers(state: string): Promise<string[]> {
  return readdir(join(state, 'datasets', '.incoming'));
}

describe('datasets over HTTP', () => {
  it('takes a form, describes the data, lets it be trained on, and deletes it', async () => {
    const { address, state } = await runningServer([]);
    const created = await upload(address, form({ name: 'wine' }));
    expect(created.status).toBe(201);
    const description = (await created.json()) as DatasetDescription;
    expect(created.headers.get('location')).toBe(`/datasets/${description.id}`);
    expect(description).toMatchObject({ name: 'wine', format: 'csv', rows: 178 });
    expect(description.columns).toHaveLength(14);
    expect(description.columns[13]).toEqual({
      name: 'kind',
      type: 'category',
      missing: 0,
      values: [
        { value: 'grignolino', count: 71 },
        { value: 'barolo', count: 59 },
        { value: 'barbera', count: 48 },
      ],
    });
    expect(description.preview[0]).toMatchObject({ alcohol: 14.23, kind: 'barolo' });
    for (const reference of ['wine', description.id]) {
      expect(await (await fetch(`${address}/datasets/${reference}`)).json()).toEqual(description);
    }
    const list = (await (await fetch(`${address}/datasets`)).json()) as { datasets: DatasetDescription[] };
    expect(list.datasets).toMatchObject([{ id: description.id, name: 'wine', rows: 178, digest: description.digest }]);

    const dataset = openDataset(join(state, 'datasets', description.id));
    const examples = await dataset.open(await dataset.prepare({ target: 'kind' }));
    expect(await readExamples(examples, { split: 'train', batchSize: 32, shuffle: { seed: 1, epoch: 0 } })).toHaveLength(142);
    await examples.close();

    expect((await fetch(`${address}/datasets/wine`, { method: 'DELETE' })).status).toBe(204);
    expect(await failureOf(await fetch(`${address}/datasets/wine`))).toMatchObject({ status: 404, code: 'DATASET_NOT_FOUND' });
    expect(await failureOf(await fetch(`${address}/datasets/wine`, { method: 'DELETE' }))).toMatchObject({ status: 404 });
    expect(existsSync(join(state, 'datasets', description.id))).toBe(false);
    expect(await leftovers(state)).toEqual([]);
  });

  it('lists what is being read, with the rows so far, and what waits for it', async () => {
    const { address } = await runningServer([], { datasets: { maxReaders: 1 } });
    // Little to send and long to read.
    const rows = 800_000;
    const first = fetch(`${address}/datasets?name=first`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: `a,b\n${'1,x\n'.repeat(rows)}`,
    });
    const coming = async (): Promise<{ name: string; state: string; rows: number; skipped: number }[]> =>
      ((await (await fetch(`${address}/datasets`)).json()) as { coming: never[] }).coming;
    await vi.waitFor(async () => expect(await coming()).toMatchObject([{ name: 'first', state: 'reading' }]), {
      timeout: 20_000,
      interval: 5,
    });
    const second = fetch(`${address}/datasets?name=second`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: 'a,b\n1,x\n',
    });
    await vi.waitFor(
      async () => {
        const [one, other] = await coming();
        expect(one).toMatchObject({ name: 'first', state: 'reading', skipped: 0 });
        expect(one!.rows).toBeGreaterThan(0);
        expect(one!.rows).toBeLessThanOrEqual(rows);
        expect(other).toMatchObject({ name: 'second', state: 'waiting', rows: 0 });
      },
      { timeout: 20_000, interval: 5 },
    );
    for (const answer of await Promise.all([first, second])) expect(answer.status).toBe(201);
    expect(await coming()).toEqual([]);
  });

  it('takes the bare file, gzipped or not, named by the query or by its own name, and keeps it over a restart', async () => {
    const { address, server, state } = await runningServer([]);
    const bare = await post(address, '/datasets?name=bare&types={"magnesium":"number"}', wine, 'text/csv');
    expect(await bare.json()).toMatchObject({
      name: 'bare',
      rows: 178,
      columns: expect.arrayContaining([expect.objectContaining({ name: 'magnesium', type: 'number' })]),
    });
    const packed = await post(address, '/datasets?file=red%20wine.csv.gz', new Uint8Array(gzipSync(wine)), 'application/gzip');
    expect(await packed.json()).toMatchObject({ name: 'red-wine', rows: 178 });
    await server.stop();
    const again = await runningServer([], { state });
    const { datasets } = (await (await fetch(`${again.address}/datasets`)).json()) as { datasets: DatasetDescription[] };
    expect(datasets.map(({ name }) => name)).toEqual(['bare', 'red-wine']);
  });

  it('refuses what is wrong, says why, and keeps nothing', async () => {
    const { address, state } = await runningServer([], { datasets: { maxUploadBytes: 50_000, maxSkippedRows: 10 } });
    expect((await upload(address, form({ name: 'wine' }))).status).toBe(201);
    const bad = Buffer.from('a,b\n1,2\n3\n');
    const cases: [what: string, send: () => Promise<Response>, status: number, code: string][] = [
      ['a name that is taken', () => upload(address, form({ name: 'wine' })), 409, 'DATASET_EXISTS'],
      ['a taken name of a bare file', () => post(address, '/datasets?name=wine', wine, 'text/csv'), 409, 'DATASET_EXISTS'],
      ['a bad name', () => upload(address, form({ name: '../wine' })), 400, 'INVALID_REQUEST'],
      ['no name', () => post(address, '/datasets', wine, 'text/csv'), 400, 'INVALID_REQUEST'],
      ['no file', () => upload(address, new FormData()), 400, 'INVALID_REQUEST'],
      ['an unknown field', () => upload(address, form({ name: 'x', colour: 'red' })), 400, 'INVALID_REQUEST'],
      ['types that are no JSON', () => upload(address, form({ name: 'x', types: 'a' })), 400, 'INVALID_REQUEST'],
      ['types of no column', () => upload(address, form({ name: 'x', types: '{"colour":"category"}' })), 400, 'COLUMN_NOT_FOUND'],
      ['a bad row', () => upload(address, form({ name: 'x' }, bad)), 400, 'INVALID_DATASET'],
      [
        'an npz that is none',
        () =>
          fetch(`${address}/datasets?name=x&file=arrays.npz`, {
            method: 'POST',
            body: 'no zip',
            headers: { 'content-type': 'application/octet-stream' },
          }),
        400,
        'INVALID_ARCHIVE',
      ],
      [
        'more skipped rows than the server allows',
        () => upload(address, form({ name: 'x', maxSkipped: '11' }, bad)),
        400,
        'INVALID_REQUEST',
      ],
      ['too large a form', () => upload(address, form({ name: 'x' }, Buffer.alloc(50_001, 'a'))), 413, 'BODY_TOO_LARGE'],
      ['a form that is none', () => post(address, '/datasets', 'x', 'multipart/form-data'), 400, 'INVALID_REQUEST'],
      [
        'a form that is cut',
        () =>
          post(
            address,
            '/datasets',
            '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n1',
            'multipart/form-data; boundary=x',
          ),
        400,
        'INVALID_REQUEST',
      ],
      ['another type', () => post(address, '/datasets?name=x', 'x', 'text/html'), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ];
    for (const [what, send, status, code] of cases) expect(await failureOf(await send()), what).toMatchObject({ status, code });
    expect((await upload(address, form({ name: 'y', maxSkipped: '1' }, bad))).status).toBe(201);
    expect((await readdir(join(state, 'datasets'))).filter((name) => !name.startsWith('.'))).toHaveLength(2);
    expect(await leftovers(state)).toEqual([]);
  });

  it('keeps nothing of an upload whose client goes away', async () => {
    const { address, state } = await runningServer([]);
    for (const head of ['content-type: text/csv\r\n', 'content-type: multipart/form-data; boundary=x\r\n']) {
      const socket = connect(Number(new URL(address).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`POST /datasets?name=gone HTTP/1.1\r\nhost: localhost\r\n${head}content-length: 1000000\r\n\r\n`);
      socket.write('--x\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n1,2\n');
      await vi.waitFor(async () => expect(await leftovers(state)).toHaveLength(1), { timeout: 10_000 });
      socket.destroy();
      await vi.waitFor(async () => expect(await leftovers(state)).toEqual([]), { timeout: 10_000 });
    }
    expect(((await (await fetch(`${address}/datasets`)).json()) as { datasets: unknown[] }).datasets).toEqual([]);
  });
});
