import type { Dataset, Examples, Preparation, SplitRequest } from '../../../datasets/dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { Preprocessing, VersionManifest } from '../../../packages/manifest.ts';
import { preprocessingFiles } from '../../../packages/preprocessing-files.ts';
import { columnWidth } from '../../../preprocessing/table.ts';

/** A version whose preprocessing and classes are to be those of the data. */
export interface ServedVersion {
  readonly folder: string;
  readonly manifest: VersionManifest;
}

export interface ServedExamplesOptions {
  readonly target: string;
  readonly split: SplitRequest;
  readonly signal: AbortSignal;
}

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'data', message }] });
}

/** The shape of one example as the preprocessing makes it. */
function shapeOf(preprocessing: Preprocessing): readonly number[] {
  switch (preprocessing.kind) {
    case 'image': {
      const { width, height, channels, layout } = preprocessing;
      return layout === 'CHW' ? [channels, height, width] : [height, width, channels];
    }
    case 'table':
      return [preprocessing.columns.reduce((sum, column) => sum + columnWidth(column), 0)];
    case 'text':
      return [preprocessing.maxLength];
  }
}

/** Class indexes are to be those of the model. */
function targetOf({ target, dataset }: Preparation, { manifest }: ServedVersion): Preparation['target'] {
  if (target.kind !== 'class')
    throw unsuitable(`The target of the dataset "${dataset.name}" must be a class; other models are not measured.`);
  const labels = manifest.classification?.labels;
  if (labels === undefined) {
    // Without names the classes are numbered.
    const numbers = target.labels.map(Number);
    if (numbers.some((number) => !Number.isInteger(number) || number < 0))
      throw unsuitable(
        `slipway.json of the version has no "classification" with the names of its classes, and the labels of "${target.column}" are no class numbers: ${target.labels.slice(0, 5).join(', ')}.`,
      );
    const counts = Array.from({ length: Math.max(...numbers) + 1 }, (_class, number) => target.counts[numbers.indexOf(number)] ?? 0);
    return { ...target, labels: counts.map((_count, number) => String(number)), counts };
  }
  const unknown = target.labels.filter((label) => !labels.includes(label));
  if (unknown.length > 0)
    throw unsuitable(
      `The labels ${unknown.map((label) => `"${label}"`).join(', ')} of "${target.column}" are no classes of the model; these are ${labels.join(', ')}.`,
    );
  return { ...target, labels, counts: labels.map((label) => target.counts[target.labels.indexOf(label)] ?? 0) };
}

/**
 * Examples as requests become them: rows go through the preprocessing of the version, not one that is measured anew, and
 * the classes have its numbers.
 * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA
 */
export async function openServedExamples(
  dataset: Dataset,
  version: ServedVersion,
  { target, split, signal }: ServedExamplesOptions,
): Promise<Examples> {
  const { preprocessing } = version.manifest;
  const measured = await dataset.prepare({
    target,
    task: 'classification',
    split,
    scaling: 'none',
    ...(preprocessing?.kind === 'table' && { features: preprocessing.columns.map(({ name }) => name) }),
    ...(preprocessing?.kind === 'image' && { image: { width: preprocessing.width, height: preprocessing.height } }),
  });
  signal.throwIfAborted();
  if (preprocessing !== undefined && preprocessing.kind !== measured.preprocessing.kind)
    throw unsuitable(
      `The model takes ${preprocessing.kind} data, but the dataset "${measured.dataset.name}" has ${measured.preprocessing.kind} data.`,
    );
  // What the data calls its column is not what the model calls its input.
  const { input: _column, ...byData } = measured.preprocessing;
  const served = preprocessing ?? byData;
  const [input] = measured.inputs;
  return dataset.open(
    {
      ...measured,
      target: targetOf(measured, version),
      preprocessing: served,
      inputs: [{ ...input!, shape: preprocessing === undefined ? input!.shape : shapeOf(served) }],
      files: preprocessing === undefined ? measured.files : await preprocessingFiles(version.folder, served),
    },
    { signal },
  );
}
