import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import { MODEL_FILE, readModelFile } from '../packages/tfjs/model-file.ts';
import { cacheKey } from './cache-key.ts';
import { type CompileRecord, readRecord, RECORD_FILE } from './record.ts';
import type { CompileRequest, CompileResult } from './result.ts';

/** A model compiled to ONNX, or why there is none. */
export type CompiledModel =
  | { readonly folder: string; readonly result: CompileResult }
  /** Why the model cannot be compiled, in words for users; a sentence without its point. */
  | { readonly folder: undefined; readonly refusal: string };

/** Compiled forms of TF.js layers models, each made and checked once and kept on disk by the digest of its files. */
export interface CompiledModels {
  /** @param folder absolute path of a version folder with a TF.js layers model. Never rejects for the model's sake. */
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

/** Refusals that come of the model itself, so that another try would give the same. */
const LASTING = new Set(['COMPILE_FAILED', 'INVALID_MODEL']);

function modelOf(entry: string, record: CompileRecord): CompiledModel {
  return 'result' in record ? { folder: entry, result: record.result } : { folder: undefined, refusal: record.refusal };
}

async function bytesOf(folder: string): Promise<number> {
  let total = 0;
  for (const name of await readdir(folder)) total += (await stat(join(folder, name))).size;
  return total;
}

export function createCompiledModels({ folder, maxCacheBytes, compile, logger }: CompiledModelsOptions): CompiledModels {
  const stopped = new AbortController();
  /** By key, so that a model that is loaded twice at once is compiled once. */
  const underWay = new Map<string, Promise<CompiledModel>>();
  /** Entries that this server has handed out; a runner may read them again. */
  const inUse = new Set<string>();

  /** Removes what was not used for the longest time until the rest fits. */
  async function makeRoom(): Promise<void> {
    const entries: { readonly key: string; readonly usedAt: number; readonly bytes: number }[] = [];
    for (const key of await readdir(folder)) {
      const entry = join(folder, key);
      const record = await stat(join(entry, RECORD_FILE)).catch(() => undefined);
      if (record !== undefined) entries.push({ key, usedAt: record.mtimeMs, bytes: await bytesOf(entry) });
    }
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, bytes } of entries.toSorted((one, other) => one.usedAt - other.usedAt)) {
      if (total <= maxCacheBytes) return;
      if (inUse.has(key)) continue;
      await rm(join(folder, key), { recursive: true, force: true });
      total -= bytes;
    }
  }

  async function keep(key: string, draft: string, record: CompileRecord): Promise<CompiledModel> {
    await writeFile(join(draft, RECORD_FILE), `${JSON.stringify(record)}\n`);
    const entry = join(folder, key);
    await rm(entry, { recursive: true, force: true });
    await rename(draft, entry);
    await makeRoom();
    return modelOf(entry, record);
  }

  async function make(key: string, versionFolder: string, threads: number): Promise<CompiledModel> {
    await mkdir(folder, { recursive: true });
    const draft = await mkdtemp(join(folder, '.draft-'));
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
    const { weightsManifest } = await readModelFile(versionFolder);
    const key = await cacheKey(versionFolder, [MODEL_FILE, ...weightsManifest.flatMap(({ paths }) => paths)]);
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
