import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CompileResult } from './result.ts';

/** What lies beside a compiled model, or alone where one was refused. */
export const RECORD_FILE = 'compiled.json';

export type CompileRecord = { readonly result: CompileResult } | { readonly refusal: string };

/** The record of an entry of the cache; undefined when there is none, or it is damaged. */
export async function readRecord(entry: string): Promise<CompileRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(entry, RECORD_FILE), 'utf8')) as CompileRecord;
  } catch {
    return undefined;
  }
}
