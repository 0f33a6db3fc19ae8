import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Preparation, PreparationRequest } from '../dataset.ts';
import type { StoredColumn } from '../records/layout.ts';
import { columnNamed } from './record-columns.ts';

export interface ChosenFeatures {
  readonly kind: 'image' | 'table';
  readonly columns: readonly StoredColumn[];
  readonly unused: Preparation['unusedColumns'];
}

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'features', message }] });
}

function whyNot({ type }: StoredColumn, hasImage: boolean, isEmpty: boolean): string | undefined {
  if (hasImage && type !== 'image') return 'the image is used alone';
  if (type === 'text') return 'text is not used beside other columns';
  return isEmpty ? 'it has no value in any row' : undefined;
}

/**
 * The columns to predict from.
 * @param taken columns that are the target or say the split.
 * @param empty columns without a value in any row.
 * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA
 */
export function chooseFeatures(
  { features }: PreparationRequest,
  columns: readonly StoredColumn[],
  taken: readonly string[],
  empty: ReadonlySet<string>,
): ChosenFeatures {
  const others = columns.filter(({ name }) => !taken.includes(name));
  if (features !== undefined) {
    const chosen = features.map((name) => columnNamed(columns, name, 'feature'));
    const images = chosen.filter(({ type }) => type === 'image');
    if (chosen.length === 0) throw unsuitable('The list of features is empty.');
    if (images.length > 0 && chosen.length > 1)
      throw unsuitable(`The image "${images[0]!.name}" cannot be used together with other features.`);
    for (const { name, type } of chosen) {
      if (taken.includes(name)) throw unsuitable(`"${name}" cannot be a feature: it is the target, or it says the split.`);
      if (type === 'text') throw unsuitable(`"${name}" is text, which cannot be a feature of a table.`);
      if (empty.has(name)) throw unsuitable(`"${name}" has no value in any row.`);
    }
    const unused = others
      .filter((each) => !chosen.includes(each))
      .map(({ name }) => ({ name, reason: 'it is not among the features asked for' }));
    return { kind: images.length > 0 ? 'image' : 'table', columns: chosen, unused };
  }
  const [image, second] = others.filter(({ type }) => type === 'image');
  if (second !== undefined)
    throw unsuitable(`There are several images, "${image!.name}" and "${second.name}"; name one of them as the feature.`);
  const unused: { name: string; reason: string }[] = [];
  const chosen = others.filter((column) => {
    const reason = whyNot(column, image !== undefined, empty.has(column.name));
    if (reason !== undefined) unused.push({ name: column.name, reason });
    return reason === undefined;
  });
  if (chosen.length === 0) throw unsuitable('No column is left to predict from.');
  return { kind: image === undefined ? 'table' : 'image', columns: chosen, unused };
}
