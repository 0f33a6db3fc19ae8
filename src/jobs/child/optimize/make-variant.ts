import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ModelFormat } from '../../../packages/formats.ts';
import { detectFormat } from '../../../packages/formats.ts';
import { VERSION_MANIFEST_FILE } from '../../../packages/manifest.ts';
import { readVersionFolder } from '../../../packages/read-version.ts';
import { modelFilesOf } from '../../../packages/model-files.ts';
import type { Technique } from '../../optimization/techniques.ts';
import type { ApplyTechnique, TechniqueContext } from './technique.ts';
import { APPLY } from './techniques/table.ts';

export interface MakeOptions extends TechniqueContext {
  /** The version that the techniques are done to, one after the other. */
  readonly source: string;
  readonly techniques: readonly Technique[];
}

/** Files that belong to the version whatever its model becomes come along; its manifest says what is left true. */
async function complete(source: string, target: string, was: ModelFormat): Promise<void> {
  const { files, manifest } = await readVersionFolder(source);
  const ofModel = new Set(await modelFilesOf(source, was, files));
  for (const name of files) {
    if (ofModel.has(name) || name === VERSION_MANIFEST_FILE) continue;
    await mkdir(dirname(join(target, name)), { recursive: true });
    await copyFile(join(source, name), join(target, name));
  }
  const format = await detectFormat(target);
  const { engine, files: _digests, metrics: _metrics, ...rest } = manifest;
  const kept = { ...rest, ...(format === was && engine !== undefined && { engine }) };
  await writeFile(join(target, VERSION_MANIFEST_FILE), `${JSON.stringify(kept, null, 2)}\n`);
}

/**
 * Makes a variant as a version folder that could be served.
 * @returns what each technique did, in words
 * @throws SlipwayError as the techniques do
 */
export async function makeVariant({ source, techniques, target, ...context }: MakeOptions): Promise<string[]> {
  const notes: string[] = [];
  let from = source;
  for (const [index, technique] of techniques.entries()) {
    const isLast = index === techniques.length - 1;
    const step = isLast ? target : `${target}.step${index}`;
    await rm(step, { recursive: true, force: true });
    await mkdir(step, { recursive: true });
    const { format, manifest } = await readVersionFolder(from);
    const apply = APPLY[technique.kind] as ApplyTechnique;
    const note = await apply(technique, { folder: from, format, manifest }, { ...context, target: step });
    await complete(from, step, format);
    if (from !== source) await rm(from, { recursive: true, force: true });
    notes.push(note);
    from = step;
  }
  return notes;
}
