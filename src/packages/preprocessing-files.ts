import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Preprocessing } from './manifest.ts';

/** The files beside the model that a preprocessing needs, by their names: a tokenizer. @throws what keeps them from being read */
export async function preprocessingFiles(
  folder: string,
  preprocessing: Preprocessing | undefined,
): Promise<Readonly<Record<string, string>>> {
  if (preprocessing?.kind !== 'text' || preprocessing.tokenizer.kind !== 'file') return {};
  const { file } = preprocessing.tokenizer;
  return { [file]: await readFile(join(folder, file), 'utf8') };
}
