import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../packages/replace-file.ts';
import type { Candidate, Choice } from './choice.ts';
import { digestOf, stampOf } from './model-digest.ts';

/** What was measured of a model on a machine. */
export interface KeptChoice {
  readonly taken: Candidate;
  readonly choice: Choice;
}

/** What is asked for: the model, and all that its speed depends on beside its files. */
export interface ChoiceOf {
  /** Absolute path of the version folder. */
  readonly folder: string;
  readonly threads: number;
  /** Of a SavedModel. */
  readonly signature?: string | undefined;
}

export interface ChoiceStore {
  /** What was measured of the files as they are; undefined when nothing was, or when that is not known without reading them all. */
  findFast(of: ChoiceOf): Promise<KeptChoice | undefined>;
  /** The same, the files read if need be: they may have been measured under another name. */
  find(of: ChoiceOf): Promise<KeptChoice | undefined>;
  keep(of: ChoiceOf, kept: KeptChoice): Promise<void>;
}

export interface ChoiceStoreOptions {
  /** Made when something is kept. */
  readonly folder: string;
  /** Stands for the machine; see `machineKey`. */
  readonly machine: () => string;
  /** As the setting `devices.maxChoices`. */
  readonly maxChoices: number;
}

function isKept(value: unknown): value is KeptChoice {
  const { taken, choice } = (value ?? {}) as Partial<KeptChoice>;
  return typeof taken?.engine === 'string' && typeof taken.backend === 'string' && Array.isArray(choice?.candidates);
}

/**
 * Choices on disk, a file for each model, machine and number of threads, and one for each folder that says which digest its
 * files had. What cannot be read counts as not there: it is measured again.
 */
export function createChoiceStore({ folder, machine, maxChoices }: ChoiceStoreOptions): ChoiceStore {
  const named = (kind: 'choice' | 'digest', text: string): string =>
    join(folder, `${kind}-${createHash('sha256').update(text).digest('hex')}.json`);
  const digestFile = async (of: ChoiceOf): Promise<string> => named('digest', `${of.folder}\n${await stampOf(of.folder)}`);
  const choiceFile = (digest: string, { threads, signature = '' }: ChoiceOf): string =>
    named('choice', [machine(), digest, threads, signature].join('\n'));

  async function read(file: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(file, 'utf8'));
    } catch {
      return undefined;
    }
  }

  async function write(path: string, value: unknown): Promise<void> {
    await mkdir(folder, { recursive: true });
    await replaceFile({
      path,
      draft: `${path}.${process.pid}.tmp`,
      write: (file) => file.writeFile(`${JSON.stringify(value)}\n`),
      whenFull: 'The disk is full; what was measured of a model is not kept.',
    });
  }

  async function readChoice(digest: string, of: ChoiceOf): Promise<KeptChoice | undefined> {
    const kept = await read(choiceFile(digest, of));
    return isKept(kept) ? kept : undefined;
  }

  async function digest(of: ChoiceOf): Promise<string> {
    const file = await digestFile(of);
    const known = await read(file);
    if (typeof known === 'string') return known;
    const found = await digestOf(of.folder);
    await write(file, found);
    return found;
  }

  /** The oldest go. */
  async function makeRoom(): Promise<void> {
    const names = await readdir(folder);
    if (names.length <= 2 * maxChoices) return;
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(folder, name);
        return { path, at: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 };
      }),
    );
    for (const { path } of files.toSorted((one, other) => one.at - other.at).slice(0, names.length - 2 * maxChoices)) {
      await rm(path, { force: true });
    }
  }

  return {
    async findFast(of) {
      const known = await read(await digestFile(of));
      return typeof known === 'string' ? readChoice(known, of) : undefined;
    },
    find: async (of) => readChoice(await digest(of), of),
    async keep(of, kept) {
      await write(choiceFile(await digest(of), of), kept);
      await makeRoom();
    },
  };
}
