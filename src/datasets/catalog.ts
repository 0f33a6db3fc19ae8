import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { createSemaphore } from '../concurrency/semaphore.ts';
import type { Logger } from '../observability/log.ts';
import type { DatasetDescription } from './dataset.ts';
import { removeDrafts } from './derived/row-maker.ts';
import type { IngestLimits, IngestOptions, IngestProgress } from './ingest/ingest.ts';
import { ingestInProcess } from './ingest/ingest-process.ts';
import type { SourceFile } from './source.ts';
import { readStoredDescription } from './stored-description.ts';

export interface CatalogOptions {
  /** Folder of the datasets, each in a folder by its id. */
  readonly folder: string;
  readonly limits: IngestLimits;
  /** Largest JavaScript heap of a process that reads a dataset, in bytes. */
  readonly maxHeapBytes: number;
  /** How many of them there are at the most; further datasets wait. */
  readonly maxReaders: number;
  /** Environment of such processes. */
  readonly env: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

export interface NewDataset {
  readonly name: string;
  readonly files: readonly SourceFile[];
  readonly options: IngestOptions;
  /** Gives the work up. */
  readonly signal: AbortSignal;
}

/** Data that is on its way to be a dataset. */
export interface ComingDataset {
  readonly name: string;
  /** `waiting` for others that are read: the setting datasets.maxReaders. */
  readonly state: 'waiting' | 'reading';
  /** Since when its data is all there; ISO 8601. */
  readonly since: string;
  /** Rows that have been read so far, and those of them that were left out. */
  readonly rows: number;
  readonly skipped: number;
}

/** The datasets on disk. A dataset is there as a whole or not at all. */
export interface DatasetCatalog {
  /** Removes what an end without warning has left, and reads what is there. */
  start(): Promise<void>;
  /** By name. */
  list(): readonly DatasetDescription[];
  /** Those that are being read, in the order in which they came. */
  coming(): readonly ComingDataset[];
  /** @param reference name or id. @throws SlipwayError DATASET_NOT_FOUND */
  describe(reference: string): DatasetDescription;
  /** For `openDataset`. @throws SlipwayError DATASET_NOT_FOUND */
  folderOf(reference: string): string;
  /** @throws SlipwayError DATASET_EXISTS */
  checkName(name: string): void;
  /** Gives `use` an empty folder for files on their way in, on the file system of the datasets. It is gone afterwards. */
  withIncoming<T>(use: (folder: string) => Promise<T>): Promise<T>;
  /**
   * Reads the files as a new dataset; they are not needed afterwards.
   * @throws SlipwayError DATASET_EXISTS, and as `ingestInProcess`.
   */
  create(dataset: NewDataset): Promise<DatasetDescription>;
  /** @throws SlipwayError DATASET_NOT_FOUND */
  remove(reference: string): Promise<void>;
  /** Ends the processes that still read datasets. */
  stop(): Promise<void>;
}

const INCOMING = '.incoming';

export function createDatasetCatalog({ folder, limits, maxHeapBytes, maxReaders, env, logger }: CatalogOptions): DatasetCatalog {
  const incoming = join(folder, INCOMING);
  const datasets = new Map<string, DatasetDescription>();
  /** By name. */
  const coming = new Map<string, ComingDataset>();
  const stopped = new AbortController();
  const working = new Set<Promise<unknown>>();
  const readers = createSemaphore(maxReaders);

  function find(reference: string): DatasetDescription | undefined {
    const byId = datasets.get(reference);
    if (byId !== undefined) return byId;
    for (const dataset of datasets.values()) if (dataset.name === reference) return dataset;
    return undefined;
  }

  function describe(reference: string): DatasetDescription {
    const dataset = find(reference);
    if (dataset !== undefined) return dataset;
    throw new SlipwayError('DATASET_NOT_FOUND', `There is no dataset "${reference}".`);
  }

  function checkName(name: string): void {
    if (find(name) === undefined && !coming.has(name)) return;
    throw new SlipwayError('DATASET_EXISTS', `There is a dataset "${name}" already${coming.has(name) ? '; it is being read' : ''}.`);
  }

  async function withIncoming<T>(use: (folder: string) => Promise<T>): Promise<T> {
    const own = join(incoming, randomUUID());
    await mkdir(own, { recursive: true });
    try {
      return await use(own);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }

  async function create({ name, files, options, signal }: NewDataset): Promise<DatasetDescription> {
    checkName(name);
    const since = new Date().toISOString();
    const tell = (state: ComingDataset['state'], progress: IngestProgress): void =>
      void coming.set(name, { name, state, since, ...progress });
    tell('waiting', { rows: 0, skipped: 0 });
    const release = await readers.acquire();
    try {
      tell('reading', { rows: 0, skipped: 0 });
      return await withIncoming(async (draft) => {
        const id = randomBytes(8).toString('hex');
        const description = await ingestInProcess(
          { id, name, createdAt: new Date().toISOString(), files, folder: draft, options, limits },
          {
            env,
            maxHeapBytes,
            signal: AbortSignal.any([signal, stopped.signal]),
            onProgress: (progress) => tell('reading', progress),
          },
        );
        await rename(draft, join(folder, id));
        datasets.set(id, description);
        logger.info({ dataset: name, id, rows: description.rows }, `the dataset ${name} is there`);
        return description;
      });
    } finally {
      release();
      coming.delete(name);
    }
  }

  return {
    async start() {
      await rm(incoming, { recursive: true, force: true });
      await mkdir(incoming, { recursive: true });
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
        try {
          const { description } = readStoredDescription(join(folder, entry.name));
          datasets.set(description.id, description);
          await removeDrafts(join(folder, entry.name));
        } catch (error) {
          logger.warn({ folder: entry.name, reason: messageOf(error) }, 'a dataset cannot be read');
        }
      }
    },
    list: () => [...datasets.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    coming: () => [...coming.values()],
    describe,
    folderOf: (reference) => join(folder, describe(reference).id),
    checkName,
    withIncoming,
    create(dataset) {
      const work = create(dataset);
      working.add(work);
      void work.catch(() => {}).finally(() => working.delete(work));
      return work;
    },
    async remove(reference) {
      const { id } = describe(reference);
      datasets.delete(id);
      // Out of sight at once and as a whole, however long it takes to delete.
      await withIncoming((aside) => rename(join(folder, id), join(aside, id)));
    },
    async stop() {
      stopped.abort();
      await Promise.allSettled(working);
    },
  };
}
