import { join } from 'node:path';
import type { DatasetDescription } from '../../../datasets/dataset.ts';
import type { Registry } from '../../../registry/types.ts';
import type { Signature } from '../../../tensor/signature.ts';
import { answeringVersion } from '../../answering-version.ts';
import { assertSaysNoReading } from '../fine-tuning/resolve-parent.ts';
import type { TrainSpec } from '../spec.ts';
import type { TeacherSpec } from './schema.ts';
import { checkTeacherReads, readTeacher, type Teacher } from './teacher.ts';

/** A teacher before its job is queued. */
export interface ResolvedTeacher {
  readonly spec: TeacherSpec;
  readonly teacher: Teacher;
  /** Known once the version was loaded. */
  readonly signature: Signature | undefined;
}

/**
 * Fills in which version teaches, and refuses what can be seen to be wrong before the job is queued.
 * @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND, UNSUITABLE_DATA, INVALID_REQUEST, INVALID_MANIFEST
 */
export async function resolveTeacher(
  asked: TeacherSpec,
  spec: TrainSpec,
  { columns }: DatasetDescription,
  registry: Registry,
): Promise<ResolvedTeacher> {
  const { model } = asked;
  const version = asked.version ?? answeringVersion(registry, model);
  const { signature } = registry.describeVersion(model, version);
  const teacher = await readTeacher(registry.folderOf(model, version), { model, version });
  assertSaysNoReading(spec, teacher);
  checkTeacherReads(teacher, columns);
  return { spec: { ...asked, version }, teacher, signature };
}

/** Copies the version that teaches into a job's folder. @throws SlipwayError as `Registry.copy` */
export async function copyTeacher(teacher: TeacherSpec | undefined, registry: Registry, folder: string): Promise<string | undefined> {
  if (teacher === undefined) return undefined;
  const target = join(folder, 'teacher');
  await registry.copy(teacher.model, teacher.version!, target);
  return target;
}
