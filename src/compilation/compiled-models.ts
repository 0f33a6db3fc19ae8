import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createMutex } from '../concurrency/mutex.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import { openLayersModel } from '../packages/layers-model.ts';
import { cacheKey } from './cache-key.ts';
import { type CompileRecord, readRecord, RECORD_FILE } from './record.ts';
import type { CompileRequest, CompileResult } from './result.ts';

/** A model compiled to ONNX, or why there is none. */
export type CompiledModel =
  | { readonly folder: string; readonly result: CompileResult }
  /** Why the model cannot be compiled, in words for users; a sentence without its point. */
  | { readonly folder: undefined; readonly refusal: string };

/** Compiled forms of layers models, each made and checked once and kept on disk by the digest of its files. */
export interface CompiledModels {
  /** @param folder absolute path of a version folder with a layers model. Never rejects for the model's sake. */
  compiled(folder: string, threads: number): Promise<CompiledModel>;
  /** Ends what is being compiled. */
  stop(): Promise<void>;
}

export interface CompiledModelsOptions {
  /** Where compiled models are kept. */
  readonly folder: string;
  /** As the setting `compiler.maxCacheBytes`. */
  readonly maxCacheBytes: number;
  /** Compiles in a process of its own. @throws SlipwayError COMPILE_FAILED, INVALID_MODEL or what befell the process */
  readonly compile: (request: CompileRequest, signal: AbortSignal) => Promise<CompileResult>;
  readonly logger: Logger;
}

/** How the names of folders begin whose content is not whole yet. */
const DRAFT = '.draft-';

/** No draft is worked on for a day. */
const LONGEST_DRAFT_MS = 86_400_000;

function isDraft(name: string): boolean {
  return name.startsWith(DRAFT);
}

/** Refusals that come of the model itself, so that another try would give the same. */
const LASTING = new Set(['COMPILE_FAILED', 'INVALID_MODEL']);

function modelOf(entry: string, record: CompileRecord): CompiledModel {
  return 'result' in record ? { folder: entry, result: record.result } : { folder: undefined, refusal: record.refusal };
}

export function createCompiledModels({ folder, maxCacheBytes, compile, logger }: CompiledModelsOptions): CompiledModels {
  const stopped = new AbortController();
  /** By key, so that a model that is loaded twice at once is compiled once. */
  const underWay = new Map<string, Promise<CompiledModel>>();
  /** Entries that this server has handed out; a runner may read them again. */
  const inUse = new Set<string>();
  const room = createMutex();

  /** Drafts that a server left when it was killed. */
  async function removeOldDrafts(): Promise<void> {
    for (const name of (await readdir(folder)).filter(isDraft)) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > LONGEST_DRAFT_MS) await rm(path, { recursive: true, force: true });
    }
  }

  /** Removes what was not used for the longest time until the rest fits. */
  async function makeRoom(): Promise<void> {
    await removeOldDrafts();
    const entries = (await Promise.all((await readdir(folder)).filter((name) => !isDraft(name)).map(describeEntry))).filter(
      (entry) => entry !== undefined,
    );
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, bytes } of entries.toSorted((one, other) => one.usedAt - other.usedAt)) {
      if (total <= maxCacheBytes) return;
      if (inUse.has(key)) continue;
      await rm(join(folder, key), { recursive: true, force: true });
      total -= bytes;
    }
  }

  /** Undefined for what is no entry, or is gone. */
  async function describeEntry(key: string): Promise<{ key: string; usedAt: number; bytes: number } | undefined> {
    const entry = join(folder, key);
    try {
      const { mtimeMs } = await stat(join(entry, RECORD_FILE));
      const sizes = await Promise.all((await readdir(entry)).map(async (name) => (await stat(join(entry, name))).size));
      return { key, usedAt: mtimeMs, bytes: sizes.reduce((sum, size) => sum + size, 0) };
    } catch {
      return undefined;
    }
  }

  async function keep(key: string, draft: string, record: CompileRecord): Promise<CompiledModel> {
    await writeFile(join(draft, RECORD_FILE), `${JSON.stringify(record)}\n`);
    const entry = join(folder, key);
    await rm(entry, { recursive: true, force: true });
    await rename(draft, entry);
    // That there is no room is no reason not to serve.
    await room
      .run(makeRoom)
      .catch((error: unknown) => logger.warn({ folder, reason: messageOf(error) }, 'compiled models could not be tidied'));
    return modelOf(entry, record);
  }

  async function make(key: string, versionFolder: string, threads: number): Promise<CompiledModel> {
    await mkdir(folder, { recursive: true });
    const draft = await mkdtemp(join(folder, DRAFT));
    try {
      const result = await compile({ folder: versionFolder, target: draft, threads }, stopped.signal);
      return await keep(key, draft, { result });
    } catch (error) {
      const refusal = messageOf(error).replace(/\.$/, '');
      if (!(error instanceof SlipwayError && LASTING.has(error.code))) {
        if (!stopped.signal.aborted) logger.warn({ folder: versionFolder, reason: refusal }, 'a model could not be compiled');
        return { folder: undefined, refusal };
      }
      await rm(draft, { recursive: true, force: true });
      await mkdir(draft);
      return await keep(key, draft, { refusal });
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  async function find(key: string, versionFolder: string, threads: number): Promise<CompiledModel> {
    const entry = join(folder, key);
    const record = await readRecord(entry);
    if (record === undefined) return make(key, versionFolder, threads);
    const now = new Date();
    await utimes(join(entry, RECORD_FILE), now, now).catch(() => undefined);
    return modelOf(entry, record);
  }

  async function compiled(versionFolder: string, threads: number): Promise<CompiledModel> {
    const key = await cacheKey(versionFolder, (await openLayersModel(versionFolder)).files);
    inUse.add(key);
    let found = underWay.get(key);
    if (found === undefined) {
      found = find(key, versionFolder, threads).finally(() => underWay.delete(key));
      underWay.set(key, found);
    }
    return found;
  }

  return {
    async compiled(versionFolder, threads) {
      try {
        return await compiled(versionFolder, threads);
      } catch (error) {
        return { folder: undefined, refusal: messageOf(error).replace(/\.$/, '') };
      }
    },
    async stop() {
      stopped.abort();
      await Promise.allSettled(underWay.values());
    },
  };
}
