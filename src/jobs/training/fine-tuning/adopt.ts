import type { Column, Preparation, PreparationRequest, TargetSpec } from '../../../datasets/dataset.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { TableColumn } from '../../../packages/manifest.ts';
import { tableShape } from '../../../preprocessing/table.ts';
import type { Parent } from './parent.ts';

/** A version whose way to read its input a model takes over. */
type Reader = Pick<Parent, 'model' | 'version' | 'preprocessing' | 'files'>;

/** Types of columns that a column of a table can be read from. */
const READABLE: Readonly<Record<TableColumn['kind'], readonly Column['type'][]>> = {
  number: ['number', 'integer', 'boolean'],
  boolean: ['boolean', 'number', 'integer'],
  category: ['category'],
  vector: ['vector'],
};

function nameOf({ model, version }: Reader): string {
  return `version ${version} of "${model}"`;
}

/** Whether data has what a version reads. @param path of the field that names it. @throws SlipwayError UNSUITABLE_DATA */
export function checkReads(parent: Reader, columns: readonly Column[], path: string): void {
  const unsuitable = (message: string): SlipwayError => new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path, message }] });
  const { preprocessing } = parent;
  const has = (type: Column['type']): boolean => columns.some((column) => column.type === type);
  if (preprocessing?.kind === 'image' && !has('image')) throw unsuitable(`The data has no images, which ${nameOf(parent)} is for.`);
  if (preprocessing?.kind === 'text' && preprocessing.tokenizer.kind === 'list' && !has('tokens'))
    throw unsuitable(`The data has no column of the type tokens, which ${nameOf(parent)} is for.`);
  if (preprocessing?.kind === 'text' && preprocessing.tokenizer.kind !== 'list' && !has('text') && !has('category'))
    throw unsuitable(`The data has no texts, which ${nameOf(parent)} is for.`);
  if (preprocessing?.kind !== 'table') return;
  for (const { kind, name } of preprocessing.columns) {
    const column = columns.find((each) => each.name === name);
    if (column === undefined) throw unsuitable(`The data has no column "${name}", which ${nameOf(parent)} reads.`);
    if (!READABLE[kind].includes(column.type))
      throw unsuitable(`The column "${name}" is of the type ${column.type}; ${nameOf(parent)} reads a ${kind}.`);
  }
}

/** What is asked of the data so that it becomes what the version reads. */
export function requestOf({
  preprocessing,
  files,
}: Pick<Reader, 'preprocessing' | 'files'>): Pick<PreparationRequest, 'features' | 'image' | 'text'> {
  switch (preprocessing?.kind) {
    case 'image': {
      const { width, height, channels, fit, layout } = preprocessing;
      return { image: { width, height, channels, fit, layout } };
    }
    case 'table':
      return { features: preprocessing.columns.map(({ name }) => name) };
    case 'text': {
      const { tokenizer, maxLength } = preprocessing;
      if (tokenizer.kind !== 'file') return { text: { tokenizer, maxLength } };
      const { file, firstId, specialTokens } = tokenizer;
      return { text: { tokenizer: { json: files[file]!, firstId, specialTokens }, maxLength } };
    }
    case undefined:
      return {};
  }
}

/** The order of classes and the scale of numbers are the version's, where it has been trained for the same. */
function adoptTarget(target: TargetSpec, parent: Parent): TargetSpec {
  if (target.kind === 'number') return { ...target, mean: parent.units.offset, std: parent.units.scale };
  if ((target.kind !== 'class' && target.kind !== 'tags') || !hasSameClasses(target.labels, parent)) return target;
  const labels = parent.labels!;
  return { ...target, labels, counts: labels.map((label) => target.counts[target.labels.indexOf(label)]!) };
}

/** Whether a classifier has been trained for these very classes, in whatever order. */
export function hasSameClasses(labels: readonly string[], { labels: own }: Parent): boolean {
  return own?.length === labels.length && labels.every((label) => own.includes(label));
}

/** A preparation whose classes and numbers are those of a version that is trained further. */
export function adoptHead(preparation: Preparation, parent: Parent): Preparation {
  return { ...preparation, target: adoptTarget(preparation.target, parent) };
}

/**
 * A preparation whose examples are read as the version reads them: with its scaling and categories, not with those of the
 * new data, for its weights were trained on such.
 */
export function adopt(adopted: Preparation, { preprocessing }: Pick<Reader, 'preprocessing'>): Preparation {
  if (preprocessing === undefined || preprocessing.kind !== adopted.preprocessing.kind || preprocessing.kind === 'text') return adopted;
  const [input] = adopted.inputs;
  const shape = preprocessing.kind === 'table' ? tableShape(preprocessing.columns) : input!.shape;
  return { ...adopted, preprocessing: { ...preprocessing, input: input!.name }, inputs: [{ ...input!, shape }] };
}
