import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createDatasetCatalog, type DatasetCatalog, type NewDataset } from '../../../src/datasets/catalog.ts';
import { ingest } from '../../../src/datasets/ingest/ingest.ts';
import { ingestInProcess } from '../../../src/datasets/ingest/ingest-process.ts';
import { createUploadStore } from '../../../src/datasets/uploads.ts';
import type { Logger } from '../../../src/observability/log.ts';
import { INGEST_LIMITS } from '../../helpers/datasets.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const wine = await readFile(new URL('../../../examples/data/wine.csv', import.meta.url));
const env = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
const HEAP_BYTES = 256 * 2 ** 20;
const never = (): AbortSignal => new AbortController().signal;

async function wineFile(): Promise<NewDataset> {
  const path = join(await temporaryFolder(), 'wine.csv');
  await writeFile(path, wine);
  return { name: 'wine', files: [{ path, name: 'wine.csv' }], options: {}, signal: never() };
}

interface Catalog {
  readonly catalog: DatasetCatalog;
  readonly folder: string;
  readonly warnings: string[];
}

async function catalogIn(folder: string, maxHeapBytes = HEAP_BYTES): Promise<Catalog> {
  const warnings: string[] = [];
  const logger: Logger = { debug() {}, info() {}, warn: (_fields, message) => warnings.push(message), error() {} };
  const catalog = createDatasetCatalog({ folder, limits: INGEST_LIMITS, maxHeapBytes, maxReaders: 1, env, logger });
  await catalog.start();
  return { catalog, folder, warnings };
}

describe('the catalog of datasets', () => {
  it('removes what an end without warning has left, and goes on beside a folder that is no dataset', async () => {
    const folder = await temporaryFolder();
    const first = await catalogIn(folder);
    const { id } = await first.catalog.create(await wineFile());
    await mkdir(join(folder, '.incoming', 'half'), { recursive: true });
    await writeFile(join(folder, '.incoming', 'half', 'records.bin'), 'x');
    await mkdir(join(folder, id, 'derived'));
    await writeFile(join(folder, id, 'derived', 'pixels.bin.1.tmp'), 'x');
    await writeFile(join(folder, id, 'derived', 'pixels.bin'), 'x');
    await mkdir(join(folder, 'nothing'));
    await mkdir(join(folder, 'future'));
    await writeFile(join(folder, 'future', 'dataset.json'), '{"form":99}');
    const { catalog, warnings } = await catalogIn(folder);
    expect(await readdir(join(folder, '.incoming'))).toEqual([]);
    expect(await readdir(join(folder, id, 'derived'))).toEqual(['pixels.bin']);
    expect(catalog.list().map(({ name }) => name)).toEqual(['wine']);
    expect(catalog.folderOf('wine')).toBe(join(folder, id));
    expect(warnings).toHaveLength(2);
  });

  it('lets one of two with the same name through', async () => {
    const { catalog } = await catalogIn(await temporaryFolder());
    const results = await Promise.allSettled([catalog.create(await wineFile()), catalog.create(await wineFile())]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(results.find((result) => result.status === 'rejected')).toMatchObject({ reason: { code: 'DATASET_EXISTS' } });
    expect(catalog.list()).toHaveLength(1);
  });

  it('keeps nothing when the process that reads the data crashes, and takes the next', async () => {
    const folder = await temporaryFolder();
    // V8 does not even start with such a heap.
    const broken = await catalogIn(folder, 1);
    const error: unknown = await broken.catalog.create(await wineFile()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DATASET_READER_FAILED', kind: 'internal' });
    expect(await readdir(join(folder, '.incoming'))).toEqual([]);
    expect(broken.catalog.list()).toEqual([]);
    const { catalog } = await catalogIn(folder);
    expect(await catalog.create(await wineFile())).toMatchObject({ rows: 178 });
  });

  it('ends the processes that read data when it stops, and when the client goes away', async () => {
    const { catalog, folder } = await catalogIn(await temporaryFolder());
    const gone = new AbortController();
    const cancelled = catalog.create({ ...(await wineFile()), signal: gone.signal });
    gone.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    const stopped = catalog.create(await wineFile());
    const refused = expect(stopped).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    await catalog.stop();
    await refused;
    expect(await readdir(join(folder, '.incoming'))).toEqual([]);
  });
});

describe('reading a dataset in a process of its own', () => {
  it('passes errors on with their code and details', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'bad.csv');
    await writeFile(path, 'a,b\n1,2\n3\n');
    const target = join(folder, 'dataset');
    await mkdir(target);
    const request = {
      id: 'x',
      name: 'x',
      createdAt: '',
      files: [{ path, name: 'bad.csv' }],
      folder: target,
      options: {},
      limits: INGEST_LIMITS,
    };
    await expect(ingestInProcess(request, { env, maxHeapBytes: HEAP_BYTES, signal: never() })).rejects.toMatchObject({
      code: 'INVALID_DATASET',
      details: [{ path: 'row 2', message: 'has 1 cells; there are 2 columns' }],
    });
  });
});

// Writing to /dev/full fails as it does on a full disk.
describe.skipIf(process.platform !== 'linux')('a full disk (/dev/full)', () => {
  it.each(['records.bin', 'heap.bin'])('refuses the dataset when %s cannot be written', async (file) => {
    const { files } = await wineFile();
    const folder = await temporaryFolder();
    await symlink('/dev/full', join(folder, file));
    const request = { id: 'x', name: 'x', createdAt: '', files, folder, options: {}, limits: INGEST_LIMITS };
    await expect(ingest(request)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  });

  it('refuses a piece of an upload', async () => {
    const folder = await temporaryFolder();
    const uploads = createUploadStore({ folder, maxBytes: 1_000, expiryMs: Number.MAX_SAFE_INTEGER });
    await uploads.start();
    const { id } = await uploads.create('a.csv', 100);
    await rm(join(folder, `${id}.bin`));
    await symlink('/dev/full', join(folder, `${id}.bin`));
    await expect(uploads.append(id, 0, Readable.from([Buffer.alloc(10)]))).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  });
});
