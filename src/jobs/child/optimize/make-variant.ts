import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { detectFormat, isLayersFormat } from '../../../packages/formats.ts';
import { VERSION_MANIFEST_FILE } from '../../../packages/manifest.ts';
import { readVersionFolder, readVersionManifest } from '../../../packages/read-version.ts';
import type { LayerReport, Made } from '../../optimization/result.ts';
import { NEEDS_ONNX, type Technique } from '../../optimization/techniques.ts';
import { copyBeside } from './beside-model.ts';
import type { TechniqueMeans } from './technique.ts';
import { loadTechnique } from './techniques/table.ts';

export interface MakeOptions extends TechniqueMeans {
  /** The version that the techniques are done to, one after the other. */
  readonly source: string;
  readonly techniques: readonly Technique[];
  /** Absolute path of the variant; what lies there is replaced. */
  readonly target: string;
}

/** An engine that was asked for may not run what the model has become. */
async function forgetEngine(folder: string): Promise<void> {
  const { engine: _engine, ...rest } = await readVersionManifest(folder);
  await writeFile(join(folder, VERSION_MANIFEST_FILE), `${JSON.stringify(rest, null, 2)}\n`);
}

/** After the training for integers these are made. Before techniques for ONNX models a TF.js layers model is compiled. */
async function stepsOf(source: string, techniques: readonly Technique[]): Promise<readonly Technique[]> {
  const steps = techniques.flatMap((each): Technique[] => (each.kind === 'int8-aware' ? [each, { ...each, kind: 'int8' }] : [each]));
  if (!isLayersFormat(await detectFormat(source))) return steps;
  const at = steps.findIndex(({ kind }) => NEEDS_ONNX.has(kind));
  return at === -1 ? steps : steps.toSpliced(at, 0, { kind: 'compile' });
}

/**
 * Makes a variant as a version folder that could be served.
 * @throws SlipwayError as the techniques do
 */
export async function makeVariant({ source, techniques, target, ...means }: MakeOptions): Promise<Made> {
  const notes: string[] = [];
  const layers: LayerReport[] = [];
  const steps = await stepsOf(source, techniques);
  let from = source;
  for (const [index, technique] of steps.entries()) {
    const step = index === steps.length - 1 ? target : `${target}.step${index}`;
    await rm(step, { recursive: true, force: true });
    await copyBeside(from, step);
    const { format, manifest } = await readVersionFolder(from);
    const apply = await loadTechnique(technique.kind);
    const applied = await apply(technique, { folder: from, format, manifest }, { ...means, target: step });
    if ((await detectFormat(step)) !== format) await forgetEngine(step);
    if (from !== source) await rm(from, { recursive: true, force: true });
    notes.push(applied.note);
    layers.push(...(applied.layers ?? []));
    from = step;
  }
  return { notes, layers };
}
