import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { DatasetDescription } from '../../datasets/dataset.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { type JobProcessSettings, runJobProcess } from '../job-process.ts';
import type { Work } from '../jobs.ts';
import type { Registry } from '../../registry/types.ts';
import type { PublishOnce } from '../publish.ts';
import { checkSpec } from './check-spec.ts';
import { copyTeacher, resolveTeacher } from './distillation/resolve-teacher.ts';
import { copyParent, resolveParent } from './fine-tuning/resolve-parent.ts';
import { checkTokenizer } from './given-tokenizer.ts';
import type { TrainRequest, TrainResult } from './run-training.ts';
import type { TrainSpec } from './spec.ts';

export interface TrainWorkOptions {
  readonly datasets: DatasetCatalog;
  readonly registry: Registry;
  readonly publish: PublishOnce;
  readonly process: JobProcessSettings;
  /** As the setting `jobs.checkpointMs`. */
  readonly checkpointMs: number;
  /** As the setting `jobs.threads`. */
  readonly threads: number;
  /** Slipway's own. */
  readonly version: string;
}

/** Columns that are taken for the target when none is named. */
const TARGET_NAMES = ['label', 'class', 'target'];

function unsuitable(path: string, message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path, message }] });
}

/**
 * The column to predict: the one that is named, else by its name, else the last one.
 * @param path of the field that names it, for the error. @throws SlipwayError COLUMN_NOT_FOUND
 */
export function targetColumn({ name, columns, splitColumn }: DatasetDescription, asked: string | undefined, path: string): string {
  const usable = columns.filter((column) => column.name !== splitColumn);
  const target = asked ?? TARGET_NAMES.find((each) => usable.some((column) => column.name === each)) ?? usable.at(-1)!.name;
  return columnNamed({ name, columns }, target, path).name;
}

function columnNamed(
  { name, columns }: Pick<DatasetDescription, 'name' | 'columns'>,
  wanted: string,
  path: string,
): DatasetDescription['columns'][number] {
  const found = columns.find((column) => column.name === wanted);
  if (found !== undefined) return found;
  const message = `The dataset "${name}" has no column "${wanted}"; it has ${columns.map((column) => column.name).join(', ')}.`;
  throw new SlipwayError('COLUMN_NOT_FOUND', message, { details: [{ path, message }] });
}

/**
 * Fills in what a spec leaves out, and refuses before the queue what the description of the dataset shows to be wrong.
 * @throws SlipwayError DATASET_NOT_FOUND, COLUMN_NOT_FOUND, UNSUITABLE_DATA, and as `resolveParent`, `resolveTeacher` and `checkSpec`
 */
export async function resolveSpec(
  spec: TrainSpec,
  { datasets, registry }: Pick<TrainWorkOptions, 'datasets' | 'registry'>,
): Promise<TrainSpec> {
  const dataset = datasets.describe(spec.dataset);
  const { rows, name, columns } = dataset;
  const target = spec.task === 'next-token' ? undefined : targetColumn(dataset, spec.target, 'target');
  const columnOf = (wanted: string, path: string) => columnNamed(dataset, wanted, path);
  const column = columns.find((each) => each.name === target);
  for (const [index, feature] of (spec.features ?? []).entries()) {
    columnOf(feature, `features[${index}]`);
    if (feature === target) throw unsuitable(`features[${index}]`, `"${target}" is the target; it cannot be a feature as well.`);
  }
  if (spec.split?.column !== undefined) columnOf(spec.split.column, 'split.column');
  // One text may be long enough to learn from.
  if (rows < (target === undefined ? 1 : 2)) throw unsuitable('dataset', `The dataset "${name}" has ${rows} rows; training needs more.`);
  if (column?.values?.length === 1 && spec.task !== 'regression')
    throw unsuitable(
      'target',
      `The target "${column.name}" has one class only, "${String(column.values[0]!.value)}"; there is nothing to tell apart.`,
    );
  const { architecture } = spec;
  const further = architecture.kind === 'version' ? await resolveParent(architecture, spec, dataset, registry) : undefined;
  const taught = spec.teacher && (await resolveTeacher(spec.teacher, spec, dataset, registry));
  const resolved = {
    ...spec,
    ...(target !== undefined && { target }),
    architecture: further?.architecture ?? architecture,
    ...(taught && { teacher: taught.spec }),
  };
  await checkTokenizer(spec);
  checkSpec(resolved, datasets.folderOf(spec.dataset), further?.parent, taught);
  return resolved;
}

/** What keeps a result from being published; undefined when nothing does. */
function refusal({ publish }: TrainSpec, { metrics, measuredOn }: TrainResult): string | undefined {
  if (publish?.if === undefined) return undefined;
  const { metric, atLeast = -Infinity, atMost = Infinity } = publish.if;
  const value = metrics[metric];
  if (value === undefined) return `there is no metric "${metric}"; there are ${Object.keys(metrics).join(', ')}`;
  if (value < atLeast) return `${metric} on the ${measuredOn} rows is ${value}, less than ${atLeast}`;
  return value > atMost ? `${metric} on the ${measuredOn} rows is ${value}, more than ${atMost}` : undefined;
}

/** Trains in a process of its own and publishes what comes of it. */
export function createTrainWork({ datasets, registry, publish, process, checkpointMs, threads, version }: TrainWorkOptions): Work {
  return async ({ id, spec }, { folder, signal, report }) => {
    const trained = spec as TrainRequest['spec'];
    const request: TrainRequest = {
      jobId: id,
      spec: trained,
      datasetFolder: datasets.folderOf(trained.dataset),
      parentFolder: await copyParent(trained.architecture, registry, folder),
      teacherFolder: await copyTeacher(trained.teacher, registry, folder),
      folder,
      checkpointMs,
      threads,
      version,
    };
    const result = (await runJobProcess({
      settings: process,
      job: 'train',
      request,
      signal,
      onEvent: ({ type, data, progress, metrics }) =>
        report(type, data, { ...(progress !== undefined && { progress }), ...(metrics !== undefined && { metrics }) }),
    })) as TrainResult;
    const { packageFolder, ...shown } = result;
    const refused = refusal(trained, result);
    const wanted = refused === undefined ? trained.publish : undefined;
    const published = wanted && (await publish({ jobId: id, model: wanted.model, label: wanted.label, packageFolder }));
    report('result', { ...shown, published }, { metrics: result.metrics });
    return { result: { ...shown, published }, reason: refused === undefined ? '' : `Not published: ${refused}.` };
  };
}
