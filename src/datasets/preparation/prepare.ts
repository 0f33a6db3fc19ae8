import { SlipwayError } from '../../errors/slipway-error.ts';
import { type Preparation, type PreparationRequest, type TargetSpec } from '../dataset.ts';
import { countWindows, readTags } from '../derived/tokens.ts';
import type { RecordFile } from '../records/record-file.ts';
import type { StoredDescription } from '../stored-description.ts';
import { type Assignment, assignSplits, countSplits, resolveSplit, SPLIT_NUMBER } from './assign-splits.ts';
import { chooseFeatures } from './choose-features.ts';
import { createFeatureMeter } from './feature-meter.ts';
import { createMeter } from './meter.ts';
import { measureTexts, textSource } from './text-features.ts';
import { type ResolvedTarget, resolveTarget } from './resolve-target.ts';

/** Classes of the training rows, in order; each class of other splits must be among them. */
function labelled(
  { kind, column, labels }: Extract<ResolvedTarget, { kind: 'class' | 'tags' }>,
  inTrain: readonly number[],
  elsewhere: readonly number[],
): TargetSpec {
  const untrained = labels.filter((_label, index) => inTrain[index] === 0 && elsewhere[index]! > 0);
  if (untrained.length > 0) {
    const names = untrained.map((label) => `"${label}"`).join(', ');
    throw new SlipwayError(
      'UNSUITABLE_DATA',
      `No training row has the label ${names} of "${column}", but rows for validation or testing have.`,
      {
        details: untrained.map((label) => ({ path: column, message: `"${label}" is in no training row` })),
      },
    );
  }
  const trained = labels.flatMap((label, index) => (inTrain[index] === 0 ? [] : [{ label, count: inTrain[index]! }]));
  if (trained.length < 2) {
    const all = trained.map(({ label }) => `"${label}"`).join('');
    throw new SlipwayError(
      'UNSUITABLE_DATA',
      `All training rows have the same label ${all} of "${column}"; there is nothing to tell apart.`,
    );
  }
  return { kind, column, labels: trained.map(({ label }) => label), counts: trained.map(({ count }) => count) };
}

/** Measures the target over the rows of each split. */
function createTargetMeter(target: ResolvedTarget) {
  const classes = target.kind === 'class' ? target.labels.length : 0;
  const inTrain = Array<number>(classes).fill(0);
  const elsewhere = Array<number>(classes).fill(0);
  const meter = createMeter();
  const values = new Float32Array(target.kind === 'number' ? target.width : 0);
  return {
    add(views: Parameters<RecordFile['readText']>[0], record: number, isTrain: boolean): void {
      if (target.kind === 'class') {
        const counts = isTrain ? inTrain : elsewhere;
        const label = target.classOf(views, record);
        counts[label] = counts[label]! + 1;
      } else if (target.kind === 'number' && isTrain) {
        target.read(views, record, values, 0);
        for (const value of values) meter.add(value);
      }
    },
    finish(): TargetSpec {
      if (target.kind === 'class') return labelled(target, inTrain, elsewhere);
      if (target.kind === 'number') return { kind: 'number', column: target.column, width: target.width, mean: meter.mean, std: meter.std };
      return { kind: 'none' };
    },
  };
}

/** Counts the labels of the tokens of each row that is in a split. */
async function measureTags(
  target: Extract<ResolvedTarget, { kind: 'tags' }>,
  file: RecordFile,
  assignment: Assignment,
): Promise<TargetSpec> {
  const indexes = new Map(target.labels.map((label, index) => [label, index]));
  const inTrain = target.labels.map(() => 0);
  const elsewhere = target.labels.map(() => 0);
  for await (const { views, count, first } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      const split = assignment[first + record]!;
      if (split > SPLIT_NUMBER.test) continue;
      const counts = split === SPLIT_NUMBER.train ? inTrain : elsewhere;
      for (const tag of await readTags(file, target.stored, views, record)) {
        const index = indexes.get(tag)!;
        counts[index] = counts[index]! + 1;
      }
    }
  }
  return labelled(target, inTrain, elsewhere);
}

export interface Prepared {
  readonly preparation: Preparation;
  readonly assignment: Assignment;
}

/** As `Dataset.prepare`; the assignment of the rows is kept, so that it need not be made again. */
export async function prepare(folder: string, stored: StoredDescription, file: RecordFile, request: PreparationRequest): Promise<Prepared> {
  const { description, columns, recordBytes } = stored;
  const { rows } = description;
  const target = resolveTarget(request, columns, description.columns, recordBytes);
  const source = { file, rows, columns, target };
  const split = resolveSplit(request.split ?? {}, description.splitColumn, { columns, target, recordBytes });
  const taken = [target.kind === 'none' ? undefined : target.column, split.column].filter((name) => name !== undefined);
  const empty = new Set(description.columns.filter(({ missing }) => missing === rows).map(({ name }) => name));
  const features = chooseFeatures(request, columns, taken, empty, target.kind === 'tags' ? target.stored : undefined);

  const assignment = await assignSplits(split, source);
  const counts = countSplits(assignment);
  if (counts.train === 0) throw new SlipwayError('UNSUITABLE_DATA', 'No row is left for training.');
  const text = features.kind === 'text' ? await measureTexts(request, features.columns[0]!, file, assignment) : undefined;
  const featureMeter = text === undefined ? createFeatureMeter(features, request, description.columns, recordBytes) : undefined;
  const targetMeter = createTargetMeter(target);
  for await (const { views, count, first } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      const number = assignment[first + record]!;
      const isTrain = number === SPLIT_NUMBER.train;
      if (isTrain) featureMeter?.add(views, record);
      if (number <= SPLIT_NUMBER.test) targetMeter.add(views, record, isTrain);
    }
  }
  const { input, preprocessing, files } = text ?? { ...featureMeter!.finish(), files: {} };
  const { id, name, digest } = description;
  const isContinued = request.task === 'next-token';
  const vocabularySize = input.vocabularySize ?? 0;
  const examples = isContinued
    ? await countWindows(await textSource(stored, folder, file, features.columns[0]!, text!), assignment, {})
    : counts;
  const targetSpec = async (): Promise<TargetSpec> => {
    if (isContinued) return { kind: 'token', vocabularySize };
    return target.kind === 'tags' ? measureTags(target, file, assignment) : targetMeter.finish();
  };
  if (examples.train === 0) throw new SlipwayError('UNSUITABLE_DATA', `The texts for training have fewer than ${input.shape[0]} tokens.`);
  return {
    assignment,
    preparation: {
      dataset: { id, name, digest },
      inputs: [input],
      features: features.columns.map((column) => column.name),
      target: await targetSpec(),
      rows: examples,
      unusedRows: rows - counts.train - counts.validation - counts.test,
      unusedColumns: features.unused,
      split,
      preprocessing,
      files,
    },
  };
}
