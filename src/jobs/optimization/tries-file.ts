import { readFile } from 'node:fs/promises';
import { hasCode } from '../../errors/has-code.ts';
import { replaceFile } from '../../packages/replace-file.ts';
import type { ParentResult, VariantRow } from './result.ts';

/** What a job has measured so far, on disk: a job that goes on does not measure it again. */
export interface TriesFile {
  readonly parent: ParentResult | undefined;
  readonly rows: readonly VariantRow[];
  /** What the tries have taken in all attempts at the job, in milliseconds. */
  readonly spentMs: number;
  setParent(parent: ParentResult): Promise<void>;
  add(row: VariantRow, spentMs: number): Promise<void>;
}

interface Content {
  readonly parent: ParentResult | undefined;
  readonly rows: readonly VariantRow[];
  readonly spentMs: number;
}

async function read(path: string): Promise<Content> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Content;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { parent: undefined, rows: [], spentMs: 0 };
    throw error;
  }
}

/** @throws SlipwayError STORAGE_FULL from what writes; what was there stays */
export async function createTriesFile(path: string): Promise<TriesFile> {
  let content = await read(path);

  async function write(next: Content): Promise<void> {
    await replaceFile({
      path,
      draft: `${path}.tmp`,
      write: (file) => file.writeFile(JSON.stringify(next)),
      whenFull: 'The disk is full; what was measured before is kept.',
    });
    content = next;
  }

  return {
    get parent() {
      return content.parent;
    },
    get rows() {
      return content.rows;
    },
    get spentMs() {
      return content.spentMs;
    },
    setParent: (parent) => write({ ...content, parent }),
    add: (row, spentMs) => write({ ...content, rows: [...content.rows, row], spentMs }),
  };
}
