import type { Column, InputSpec, Preparation, PreparationRequest, TargetSpec } from '../../../datasets/dataset.ts';
import type { Values } from '../../../engines/training/trainer.ts';
import { messageOf, SlipwayError } from '../../../errors/slipway-error.ts';
import type { Classification, Preprocessing } from '../../../packages/manifest.ts';
import { preprocessingFiles } from '../../../packages/preprocessing-files.ts';
import { readVersionManifest } from '../../../packages/read-version.ts';
import type { Signature } from '../../../tensor/signature.ts';
import { adopt, checkReads, requestOf } from '../fine-tuning/adopt.ts';
import type { TeacherScores } from './soft-targets.ts';

/** A version that another model is to learn from: what its slipway.json says. */
export interface Teacher {
  readonly model: string;
  readonly version: number;
  /** How it reads its input; undefined when the data is taken as it is. */
  readonly preprocessing: Preprocessing | undefined;
  /** Files beside the model that the preprocessing needs, by their names. */
  readonly files: Readonly<Record<string, string>>;
  readonly classification: Classification;
}

/** A teacher in memory. */
export interface TeacherModel {
  /** What computes, e.g. `onnx cpu`. */
  readonly engine: string;
  /** Its outputs [N, classes] for inputs as the model that is trained gets them. @throws SlipwayError UNSUITABLE_DATA, INFERENCE_FAILED */
  outputs(inputs: Values): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export interface OpenTeacherOptions {
  /** The version's. */
  readonly folder: string;
  readonly teacher: Teacher;
  /** Of what the model is trained on. */
  readonly preparation: Preparation;
  /** For its compiled form. */
  readonly scratch: string;
  readonly threads: number;
}

/** @throws SlipwayError UNSUITABLE_DATA when its inputs and outputs are not those of such data; as engines do */
export type OpenTeacher = (options: OpenTeacherOptions) => Promise<TeacherModel>;

export function unsuitableTeacher(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'teacher', message }] });
}

export function nameOfTeacher({ model, version }: Pick<Teacher, 'model' | 'version'>): string {
  return `Version ${version} of "${model}"`;
}

/**
 * Reads what a version says of itself that is to teach.
 * @throws SlipwayError INVALID_REQUEST when it does not say its classes; INVALID_MANIFEST
 */
export async function readTeacher(folder: string, which: Pick<Teacher, 'model' | 'version'>): Promise<Teacher> {
  const { preprocessing, classification } = await readVersionManifest(folder);
  const refuse = (why: string): SlipwayError => {
    const message = `${nameOfTeacher(which)} cannot teach: ${why}.`;
    return new SlipwayError('INVALID_REQUEST', message, { details: [{ path: 'teacher', message }] });
  };
  if (classification === undefined)
    throw refuse(
      '"classification" in its slipway.json does not name its classes, so it is not known which of its scores is for which class',
    );
  if (classification.of === 'token') throw refuse('it labels the tokens of texts, not the texts');
  const files = await preprocessingFiles(folder, preprocessing).catch((error: unknown) => {
    throw refuse(`its tokenizer cannot be read (${messageOf(error)})`);
  });
  return { ...which, preprocessing, files, classification };
}

/** The preprocessing for the model that is trained. Its images have their channels last, whatever the teacher wants. */
function readingOf({ preprocessing }: Teacher): Preprocessing | undefined {
  return preprocessing?.kind === 'image' ? { ...preprocessing, layout: 'HWC' } : preprocessing;
}

/** What is asked of the data, so that it becomes what the teacher reads. */
export function teacherRequest(teacher: Teacher): Pick<PreparationRequest, 'features' | 'image' | 'text' | 'scaling'> {
  // One that does not say how it reads takes the data as it is.
  if (teacher.preprocessing === undefined) return { scaling: 'none' };
  return requestOf({ ...teacher, preprocessing: readingOf(teacher) });
}

/** The preparation with the teacher's scaling and categories. */
export function adoptTeacher(preparation: Preparation, teacher: Teacher): Preparation {
  return adopt(preparation, { ...teacher, preprocessing: readingOf(teacher) });
}

/** Whether data has what a teacher reads. @throws SlipwayError UNSUITABLE_DATA */
export function checkTeacherReads(teacher: Teacher, columns: readonly Column[]): void {
  checkReads(teacher, columns, 'teacher');
}

const sameButInput = (one: Preprocessing, other: Preprocessing): boolean =>
  JSON.stringify({ ...one, input: '' }) === JSON.stringify({ ...other, input: '' });

/** Whether a version that is trained further reads as its teacher does. @throws SlipwayError UNSUITABLE_DATA */
export function checkReadsAlike(
  teacher: Teacher,
  parent: { readonly model: string; readonly version: number; readonly preprocessing: Preprocessing | undefined },
): void {
  const [own, other] = [readingOf(teacher), parent.preprocessing];
  if (own === undefined || other === undefined || sameButInput(own, other)) return;
  throw unsuitableTeacher(
    `${nameOfTeacher(teacher)} reads its input otherwise than version ${parent.version} of "${parent.model}", which is trained further; both get the same rows.`,
  );
}

/**
 * Where the scores of the classes of the data are in a row of the teacher's output.
 * @throws SlipwayError UNSUITABLE_DATA when it was trained for other classes
 */
export function teacherScores(teacher: Teacher, target: TargetSpec): TeacherScores {
  const { labels, scores: kind } = teacher.classification;
  if (target.kind !== 'class') {
    const what = {
      number: 'the target is a number',
      token: 'the task next-token has tokens',
      tags: 'the target is a label for each token',
      none: 'there is no target',
    }[target.kind];
    throw unsuitableTeacher(`A teacher gives probabilities of classes; ${what}.`);
  }
  const order = target.labels.map((label) => labels.indexOf(label));
  const missing = target.labels.filter((label) => !labels.includes(label));
  const further = labels.filter((label) => !target.labels.includes(label));
  if (missing.length === 0 && further.length === 0) return { kind, order };
  const listed = (some: readonly string[]): string =>
    `${some
      .slice(0, 5)
      .map((label) => `"${label}"`)
      .join(', ')}${some.length > 5 ? ' and others' : ''}`;
  const why = missing.length > 0 ? `it does not know ${listed(missing)}` : `the data lacks ${listed(further)}`;
  throw unsuitableTeacher(`${nameOfTeacher(teacher)} was not trained for the classes of "${target.column}": ${why}.`);
}

/** Whether the inputs of a teacher are of such shapes. @throws SlipwayError UNSUITABLE_DATA */
export function checkTeacherInput(teacher: Teacher, { inputs }: Signature, { shape: made }: Pick<InputSpec, 'shape'>): void {
  const { preprocessing } = teacher;
  // What the preprocessing says of the input, the registry has held to the model.
  if (preprocessing !== undefined || inputs.length !== 1) return;
  const own = inputs[0]!.shape?.slice(1).filter((size) => size !== 1);
  const found = made.filter((size) => size !== 1);
  const fits =
    own === undefined ||
    (own.length === found.length && own.every((size, axis) => size === -1 || !(size < found[axis]! || size > found[axis]!)));
  if (fits) return;
  throw unsuitableTeacher(
    `${nameOfTeacher(teacher)} takes rows of the shape [${inputs[0]!.shape!.slice(1).join(', ')}]; those of the data have [${made.join(', ')}].`,
  );
}
