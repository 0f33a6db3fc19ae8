import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Preparation, Split } from '../../datasets/dataset.ts';
import { openDataset } from '../../datasets/open-dataset.ts';
import type { CreateTrainer, LayerConfig } from '../../engines/training/trainer.ts';
import { isStorageFull } from '../../errors/has-code.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { VersionManifest } from '../../packages/manifest.ts';
import { versionDigestsOf } from '../../packages/model-files.ts';
import { createLessons } from './distillation/lessons.ts';
import { adoptTeacher, type OpenTeacher, readTeacher, type TeacherModel, teacherRequest } from './distillation/teacher.ts';
import { openFineTuning } from './fine-tuning/fine-tuning.ts';
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { specForLineage } from './given-tokenizer.ts';
import { classificationOf, descriptionOf, servedLayers } from './served-version.ts';
import type { TrainSpec } from './spec.ts';
import { preparationRequestOf, trainerSpecOf } from './trainer-spec.ts';
import { type EpochMetrics, evaluate, type ProgressReport, train, type TrainingProgress } from './train.ts';

/** What the process of a training job is told; plain data. */
export interface TrainRequest {
  readonly jobId: string;
  readonly spec: TrainSpec;
  readonly datasetFolder: string;
  /** Where the version lies that is trained further, when there is one: a copy of the job's own. */
  readonly parentFolder: string | undefined;
  /** Where the version lies that teaches, when there is one: a copy of the job's own. */
  readonly teacherFolder: string | undefined;
  /** The job's own folder: the checkpoint lies there, and at the end the package. */
  readonly folder: string;
  readonly checkpointMs: number;
  /** As the setting `jobs.threads`. */
  readonly threads: number;
  /** Slipway's version, for the lineage. */
  readonly version: string;
}

/** What comes of it; plain data. */
export interface TrainResult {
  /** Folder of the trained version inside of the job's folder. */
  readonly packageFolder: string;
  readonly engine: string;
  readonly engineReason: string | undefined;
  readonly parameters: number;
  /** SHA-256 over the trained weights: the same job on the same engine gives the same. */
  readonly weightsDigest: string;
  readonly epochs: number;
  /** Measured on the test rows, or on those that are left when there are none. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly measuredOn: Split;
  /** Of classifiers: rows are what the examples are, columns what they were taken for, in the order of `labels`. */
  readonly confusion: { readonly labels: readonly string[]; readonly counts: readonly (readonly number[])[] } | undefined;
}

export interface Trained {
  readonly layers: readonly LayerConfig[];
  readonly parameters: number;
  readonly engine: string;
  /** Why it is not the engine that would be taken first; undefined when it is, or when it was asked for. */
  readonly engineReason: string | undefined;
}

export interface TrainReporter {
  progress(report: ProgressReport): void;
  epoch(epoch: EpochMetrics): void;
  /** What the data became and what is trained, by which engine. */
  prepared(preparation: Preparation, trained: Trained): void;
}

/** What computes. */
export interface TrainingMeans {
  readonly createTrainer: CreateTrainer;
  readonly openTeacher: OpenTeacher;
}

const CHECKPOINT_FILE = 'checkpoint.bin';
const PACKAGE = 'package';

/** @throws SlipwayError STORAGE_FULL */
async function writePackage(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  } catch (error) {
    if (!isStorageFull(error)) throw error;
    const text = 'The disk is full; the trained version could not be written. The job can be resumed: it goes on from its last checkpoint.';
    throw new SlipwayError('STORAGE_FULL', text, { cause: error });
  }
}

/**
 * Does a training job, from where an earlier attempt has left it, up to a package that can be served.
 * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA, INVALID_ARCHITECTURE, TRAINING_DIVERGED, STORAGE_FULL
 */
export async function runTraining(
  request: TrainRequest,
  { createTrainer, openTeacher }: TrainingMeans,
  reporter: TrainReporter,
  signal: AbortSignal,
): Promise<TrainResult> {
  const { spec, folder, jobId } = request;
  const dataset = openDataset(request.datasetFolder);
  const tuning = request.parentFolder === undefined ? undefined : await openFineTuning(spec.architecture as never, request.parentFolder);
  const { teacherFolder } = request;
  const taught =
    teacherFolder === undefined
      ? undefined
      : await readTeacher(teacherFolder, { model: spec.teacher!.model, version: spec.teacher!.version! });
  const found = await dataset.prepare({ ...preparationRequestOf(spec), ...(taught && teacherRequest(taught)), ...tuning?.request });
  const read = taught === undefined ? found : adoptTeacher(found, taught);
  const preparation = tuning?.adopt(read) ?? read;
  signal.throwIfAborted();
  const tuned = tuning?.layers(preparation);
  const trainerSpec = trainerSpecOf(spec, preparation.target, preparation.inputs[0]!, tuned);
  const trainer = await createTrainer(trainerSpec);
  const examples = await dataset.open(preparation, { signal });
  let teacher: TeacherModel | undefined;
  try {
    if (taught !== undefined) {
      teacher = await openTeacher({
        folder: teacherFolder!,
        teacher: taught,
        preparation,
        scratch: join(folder, 'teacher-compiled'),
        threads: request.threads,
      });
    }
    const { engine, engineReason, parameterCount: parameters } = trainer;
    reporter.prepared(preparation, { layers: trainerSpec.layers, parameters, engine, engineReason });
    const path = join(folder, CHECKPOINT_FILE);
    const checkpoint = await readCheckpoint<TrainingProgress>(path);
    if (checkpoint === undefined && tuned !== undefined) tuning!.begin(trainer, tuned);
    const history = await train({
      trainer,
      examples,
      spec,
      lessons: teacher && createLessons(teacher, taught!, spec.teacher!, preparation),
      checkpoint,
      saveCheckpoint: (checkpoint) => writeCheckpoint(path, checkpoint),
      checkpointMs: request.checkpointMs,
      onProgress: reporter.progress,
      onEpoch: reporter.epoch,
      signal,
    });
    const measuredOn = (['test', 'validation', 'train'] as const).find((each) => preparation.rows[each] > 0)!;
    const batchSize = spec.batchSize === 'all' ? preparation.rows.train : spec.batchSize;
    const meter = await evaluate(trainer, examples, measuredOn, batchSize, signal);
    const metrics = meter.metrics();
    const classes = 'labels' in preparation.target ? preparation.target.labels : undefined;
    const { confusion: counts } = meter.state();
    const confusion = classes && {
      labels: classes,
      counts: classes.map((_label, row) => counts.slice(row * classes.length, (row + 1) * classes.length)),
    };

    const classification = await classificationOf(preparation);
    const files = { ...trainer.modelFiles(servedLayers(trainerSpec.layers, preparation.target)), ...preparation.files };
    const digestOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');
    const weightsDigest = digestOf(files['weights.bin']!);
    const manifest: VersionManifest = {
      description: descriptionOf(preparation),
      preprocessing: preparation.preprocessing,
      ...(classification && { classification }),
      metrics,
      lineage: JSON.parse(
        JSON.stringify({
          job: jobId,
          slipway: request.version,
          parent: tuning?.parent,
          teacher: taught && {
            model: taught.model,
            version: taught.version,
            engine: teacher!.engine,
            files: await versionDigestsOf(teacherFolder!),
          },
          dataset: preparation.dataset,
          split: preparation.split,
          rows: preparation.rows,
          features: preparation.features,
          spec: specForLineage(spec),
          engine,
          engineReason,
          parameters,
          epochs: history.length,
          measuredOn,
          confusion,
          weights: weightsDigest,
        }),
      ) as VersionManifest['lineage'],
      files: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, digestOf(content)])),
    };
    const packageFolder = join(folder, PACKAGE);
    await writePackage(packageFolder, { ...files, 'slipway.json': `${JSON.stringify(manifest, null, 2)}\n` });
    return {
      packageFolder,
      engine,
      engineReason,
      parameters,
      weightsDigest,
      epochs: history.length,
      metrics,
      measuredOn,
      confusion,
    };
  } finally {
    await trainer.dispose();
    await teacher?.dispose();
    await examples.close();
  }
}
