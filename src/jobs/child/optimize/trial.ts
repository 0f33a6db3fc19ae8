import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset, Examples, Split, SplitRequest } from '../../../datasets/dataset.ts';
import { compileLayersModel } from '../../../compiler/compile.ts';
import { ingest } from '../../../datasets/ingest/ingest.ts';
import { openDataset } from '../../../datasets/open-dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { hasCode } from '../../../errors/has-code.ts';
import { DESCRIPTION_FILE } from '../../../datasets/stored-description.ts';
import { storedWeights } from '../../../optimization/pruning/layers-model.ts';
import { multiplications } from '../../../optimization/pruning/multiplications.ts';
import { isLayersFormat } from '../../../packages/formats.ts';
import { modelBytes } from '../../../packages/model-files.ts';
import { readVersionFolder, type VersionFolder } from '../../../packages/read-version.ts';
import type { DataReport, OptimizeRequest } from '../../optimization/result.ts';
import { createLessons, type Lessons } from '../../training/distillation/lessons.ts';
import { teacherModel } from '../train/open-teacher.ts';
import { readLayersModel } from './layers-files.ts';
import { classesOf } from './measure.ts';
import { type ModelRows, readModelRows } from './model-rows.ts';
import { openServedExamples, type ServedVersion } from './served-examples.ts';
import type { FineTuning } from './technique.ts';
import { loadServed, type ServedModel } from './served-model.ts';

/** What variants are measured against: the parent as it is served, and rows that are kept for one use each. */
export interface Trial {
  readonly version: VersionFolder;
  readonly parent: ServedModel;
  readonly measured: Awaited<ReturnType<typeof modelBytes>> & { readonly multiplications: number | undefined };
  readonly report: DataReport;
  readonly evaluation: ModelRows;
  /** The class that the parent gives to each row of the evaluation. */
  readonly parentClasses: Int32Array;
  /** Rows to calibrate on; they are no others' rows. Undefined when there are none. */
  readonly calibration: (() => Promise<ModelRows>) | undefined;
  /** Undefined when no rows are for it, or no epochs are wanted. */
  readonly fineTuning: FineTuning | undefined;
  close(): Promise<void>;
}

/** Which split of the dataset is for what. */
interface Roles {
  readonly split: SplitRequest;
  readonly evaluation: Split;
  readonly calibration: Split;
  /** Whether the training rows are for fine-tuning. */
  readonly hasTraining: boolean;
  /** In words. */
  readonly why: string;
}

const CALIBRATION_SHARE = 0.2;
/** Of a dataset to fine-tune on, so much tells the best epoch. */
const TUNING_VALIDATION_SHARE = 0.1;
const EVALUATION_FOLDER = 'evaluation';
const CLASSES_FILE = 'parent-classes.json';

/** The version's own evaluation set as a dataset in the job's folder; it is made once. */
async function ownDataset(
  { folder, parentFolder, ingestLimits }: OptimizeRequest,
  { manifest }: VersionFolder,
): Promise<{ dataset: Dataset; target: string }> {
  const { evaluation } = manifest;
  if (evaluation === undefined) throw new SlipwayError('UNSUITABLE_DATA', 'slipway.json of the version names no evaluation set.');
  const path = join(folder, EVALUATION_FOLDER);
  const isThere = await readFile(join(path, DESCRIPTION_FILE)).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    },
  );
  if (!isThere) {
    await mkdir(path, { recursive: true });
    await ingest({
      id: 'evaluation',
      name: evaluation.file,
      createdAt: new Date().toISOString(),
      files: [{ path: join(parentFolder, evaluation.file), name: evaluation.file }],
      folder: path,
      options: {},
      limits: ingestLimits,
    });
  }
  return { dataset: openDataset(path), target: evaluation.target };
}

/** The dataset and the split that a version was trained with, if its lineage or that of its parents says so. */
function trainedWith(lineage: unknown): { readonly digest: unknown; readonly split: SplitRequest } | undefined {
  if (typeof lineage !== 'object' || lineage === null) return undefined;
  const { dataset, split, parent } = lineage as { dataset?: { digest?: unknown }; split?: SplitRequest; parent?: { lineage?: unknown } };
  if (dataset?.digest !== undefined && split !== undefined) return { digest: dataset.digest, split };
  return trainedWith(parent?.lineage);
}

function rolesOf({ spec, dataset: asked }: OptimizeRequest, { manifest }: VersionFolder, { description }: Dataset): Roles {
  const standard = { evaluation: 'test', calibration: 'validation', hasTraining: true } as const;
  const { seed } = spec;
  const wanted = typeof spec.data === 'object' ? spec.data.split : undefined;
  if (wanted !== undefined) return { ...standard, split: { seed, ...wanted } as SplitRequest, why: 'the split that was asked for' };
  const trained = trainedWith(manifest.lineage);
  if (asked !== undefined && trained?.digest === description.digest)
    return { ...standard, split: trained.split, why: 'the split that the version was trained with: it is measured on test rows only' };
  if (description.splitColumn !== undefined)
    return { ...standard, split: { seed }, why: `the column "${description.splitColumn}" of the dataset` };
  return {
    evaluation: 'train',
    calibration: 'validation',
    hasTraining: false,
    split: { validation: CALIBRATION_SHARE, test: 0, seed },
    why: `${CALIBRATION_SHARE} of the rows, drawn by the seed, calibrate; the rest measure`,
  };
}

async function parentClassesOf(
  request: OptimizeRequest,
  { model }: ServedModel,
  { manifest }: VersionFolder,
  rows: ModelRows,
  signal: AbortSignal,
): Promise<Int32Array> {
  const path = join(request.folder, CLASSES_FILE);
  try {
    const known = JSON.parse(await readFile(path, 'utf8')) as number[];
    if (known.length === rows.count) return Int32Array.from(known);
  } catch {
    // Not there, or cut short by a crash: it is made again.
  }
  const classes = await classesOf(model, manifest, rows, signal);
  await writeFile(path, JSON.stringify([...classes]));
  return classes;
}

/**
 * The examples to fine-tune on: those of the dataset that was named for it, else the training rows of the data.
 * @param measured the data to measure on; where it is the same, its own split keeps the rows apart
 * @throws SlipwayError UNSUITABLE_DATA where nothing keeps them apart
 */
async function fineTuningExamples(
  { fineTuning, spec }: OptimizeRequest,
  version: ServedVersion,
  measured: Dataset,
  own: Examples | undefined,
  signal: AbortSignal,
): Promise<Examples | undefined> {
  if (fineTuning === undefined) return own;
  if (openDataset(fineTuning.folder).description.digest === measured.description.digest) {
    if (own !== undefined) return own;
    throw new SlipwayError(
      'UNSUITABLE_DATA',
      'fineTuning.dataset holds the rows that the variants are measured on; give data.split, so that it has training rows of its own, or name other data.',
    );
  }
  const split = { validation: TUNING_VALIDATION_SHARE, test: 0, seed: spec.seed };
  return openServedExamples(openDataset(fineTuning.folder), version, { target: fineTuning.target, split, signal });
}

/** What the parent gives to batches of rows that are fine-tuned on. Their classes are its own, in its order. */
function parentLessons(
  { spec }: OptimizeRequest,
  { manifest }: VersionFolder,
  parent: ServedModel,
  preparation: Examples['preparation'],
): Lessons | undefined {
  const { teacher: asked } = spec.fineTuning;
  const { target } = preparation;
  if (asked === undefined || target.kind !== 'class') return undefined;
  const { model, version } = spec;
  const classification = manifest.classification ?? { labels: [...target.labels], scores: 'probabilities' as const, top: 1 };
  const teacher = { model, version, preprocessing: manifest.preprocessing, files: {}, classification };
  return createLessons(teacherModel(parent, teacher, preparation), teacher, asked, preparation);
}

/** Of a TF.js layers model that can be compiled; undefined for others. */
export async function multiplicationsOf(folder: string, format: VersionFolder['format']): Promise<number | undefined> {
  if (!isLayersFormat(format)) return undefined;
  try {
    const { topology, weights } = await readLayersModel(folder);
    return multiplications(compileLayersModel(topology, storedWeights(weights)));
  } catch (error) {
    if (error instanceof SlipwayError && error.code === 'COMPILE_FAILED') return undefined;
    throw error;
  }
}

/**
 * Opens what variants are measured with.
 * @throws SlipwayError UNSUITABLE_DATA, INVALID_DATASET and what else keeps the parent or the data from being read
 */
export async function openTrial(request: OptimizeRequest, signal: AbortSignal): Promise<Trial> {
  const { parentFolder: folder, folder: own, spec, compiles, threads } = request;
  const version = await readVersionFolder(folder);
  const { manifest, format, files } = version;
  const { dataset, target } =
    request.dataset === undefined
      ? await ownDataset(request, version)
      : { dataset: openDataset(request.dataset.folder), target: request.dataset.target };
  const roles = rolesOf(request, version, dataset);
  const examples = await openServedExamples(dataset, { folder, manifest }, { target, split: roles.split, signal });
  const { rows } = examples.preparation;
  if (rows[roles.evaluation] === 0)
    throw new SlipwayError('UNSUITABLE_DATA', 'No rows are left to measure on: the split has no test rows.');
  const tuning = await fineTuningExamples(request, { folder, manifest }, dataset, roles.hasTraining ? examples : undefined, signal);
  const parent = await loadServed(folder, { compiles, threads, scratch: join(own, 'parent-compiled') });
  const { signature } = parent.model;
  // A version that was trained without validation rows is calibrated on what it was trained on: both are its own data.
  const calibrated = rows[roles.calibration] === 0 && roles.hasTraining ? 'train' : roles.calibration;
  const evaluation = await readModelRows(examples, roles.evaluation, signature, spec.seed);
  /** Read when they are first needed. */
  let calibration: Promise<ModelRows> | undefined;
  return {
    version,
    parent,
    measured: { ...(await modelBytes(folder, format, files)), multiplications: await multiplicationsOf(folder, format) },
    report: {
      source: request.dataset === undefined ? `${manifest.evaluation!.file} of the version` : `the dataset ${dataset.description.name}`,
      digest: dataset.description.digest,
      target,
      rows: {
        evaluation: evaluation.count,
        calibration: rows[calibrated],
        fineTuning: tuning?.preparation.rows.train ?? 0,
      },
      seed: spec.seed,
      split: roles.why,
    },
    evaluation,
    parentClasses: await parentClassesOf(request, parent, version, evaluation, signal),
    calibration: rows[calibrated] === 0 ? undefined : () => (calibration ??= readModelRows(examples, calibrated, signature, spec.seed)),
    fineTuning:
      tuning === undefined || spec.fineTuning.epochs === 0
        ? undefined
        : {
            ...spec.fineTuning,
            examples: tuning,
            lessons: parentLessons(request, version, parent, tuning.preparation),
            seed: spec.seed,
            threads: request.trainingThreads,
          },
    async close() {
      await parent.model.dispose();
      await examples.close();
      if (tuning !== undefined && tuning !== examples) await tuning.close();
    },
  };
}
