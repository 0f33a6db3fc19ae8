import { join } from 'node:path';
import type { DatasetDescription } from '../../../datasets/dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { Registry } from '../../../registry/types.ts';
import type { TrainSpec } from '../spec.ts';
import type { VersionArchitecture } from '../architectures/schema.ts';
import { checkReads } from './adopt.ts';
import { type Parent, readParent } from './parent.ts';
import { checkFrozen } from './tuned-layers.ts';

/** Fields of a spec that say how an input is read, which a version says itself. */
const READING = ['features', 'image', 'text', 'scaling', 'unknownCategories'] as const;

/** @throws SlipwayError INVALID_REQUEST where a spec says how the input is read, and a version says it, too */
export function assertSaysNoReading(
  spec: TrainSpec,
  { model, version, preprocessing }: Pick<Parent, 'model' | 'version' | 'preprocessing'>,
): void {
  const said = preprocessing === undefined ? undefined : READING.find((field) => spec[field] !== undefined);
  if (said === undefined) return;
  const message = `Version ${version} of "${model}" says itself how it reads its input; leave out "${said}".`;
  throw new SlipwayError('INVALID_REQUEST', message, { details: [{ path: said, message }] });
}

/**
 * Fills in which version is trained further, and refuses what can be seen to be wrong before the job is queued.
 * @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND, INVALID_ARCHITECTURE, UNSUITABLE_DATA, INVALID_REQUEST
 */
export async function resolveParent(
  architecture: VersionArchitecture,
  spec: TrainSpec,
  { columns }: DatasetDescription,
  registry: Registry,
): Promise<{ readonly architecture: VersionArchitecture; readonly parent: Parent }> {
  const { model } = architecture;
  const version = architecture.version ?? registry.describe(model).versions.at(-1)?.version;
  if (version === undefined) throw new SlipwayError('VERSION_NOT_FOUND', `The model "${model}" has no version.`);
  const parent = await readParent(registry.folderOf(model, version), { model, version });
  assertSaysNoReading(spec, parent);
  checkReads(parent, columns, 'architecture');
  checkFrozen(architecture, parent);
  return { architecture: { ...architecture, version }, parent };
}

/**
 * Copies the version that is trained further into a job's folder.
 * @throws SlipwayError as `Registry.copy`
 */
export async function copyParent(architecture: TrainSpec['architecture'], registry: Registry, folder: string): Promise<string | undefined> {
  if (architecture.kind !== 'version') return undefined;
  const target = join(folder, 'parent');
  await registry.copy(architecture.model, architecture.version!, target);
  return target;
}
