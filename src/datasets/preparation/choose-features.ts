import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Preparation, PreparationRequest } from '../dataset.ts';
import type { StoredColumn } from '../records/layout.ts';
import { columnNamed } from './record-columns.ts';

/** What the input of the model is made of: one image, one text, or columns of a table. */
export type FeatureKind = 'image' | 'text' | 'table';

export interface ChosenFeatures {
  readonly kind: FeatureKind;
  /** One of them for an image or a text. */
  readonly columns: readonly StoredColumn[];
  readonly unused: Preparation['unusedColumns'];
}

function unsuitable(message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'features', message }] });
}

function kindOf({ type }: StoredColumn): FeatureKind {
  return type === 'image' || type === 'text' ? type : 'table';
}

/** Whether a text is to be read even if few different ones make it look like a category. */
function wantsText({ task, text }: PreparationRequest): boolean {
  return task === 'next-token' || text !== undefined;
}

function chooseNamed(
  names: readonly string[],
  request: PreparationRequest,
  columns: readonly StoredColumn[],
): Omit<ChosenFeatures, 'unused'> {
  const chosen = names.map((name) => columnNamed(columns, name, 'feature'));
  const [first, second] = chosen;
  if (first === undefined) throw unsuitable('The list of features is empty.');
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw unsuitable(`The feature "${twice}" is named twice.`);
  const alone = chosen.find((column) => kindOf(column) !== 'table');
  if (alone !== undefined && second !== undefined) {
    throw unsuitable(
      `"${alone.name}" is ${alone.type === 'text' ? 'a text' : 'an image'}, which cannot be used together with other features.`,
    );
  }
  if (request.task === 'next-token' && kindOf(first) !== 'text' && first.type !== 'category')
    throw unsuitable(`The task next-token needs a text; "${first.name}" is of the type ${first.type}.`);
  const isText = first.type === 'category' && second === undefined && wantsText(request);
  return { kind: isText ? 'text' : kindOf(first), columns: chosen };
}

/** The one column of a kind. */
function onlyOne(found: readonly StoredColumn[], kind: FeatureKind): readonly StoredColumn[] {
  const [first, second] = found;
  if (second !== undefined)
    throw unsuitable(
      `There are several columns of the type ${kind}, such as "${first!.name}" and "${second.name}"; name one of them as the feature.`,
    );
  return found;
}

function chooseByDefault(request: PreparationRequest, candidates: readonly StoredColumn[]): Omit<ChosenFeatures, 'unused'> {
  const of = (kind: FeatureKind): StoredColumn[] => candidates.filter((column) => kindOf(column) === kind);
  if (of('image').length > 0) return { kind: 'image', columns: onlyOne(of('image'), 'image') };
  const texts = of('text');
  if (wantsText(request)) {
    const found = texts.length > 0 ? texts : candidates.filter(({ type }) => type === 'category');
    if (found.length === 0) throw unsuitable('There is no text.');
    return { kind: 'text', columns: onlyOne(found, 'text') };
  }
  if (of('table').length > 0) return { kind: 'table', columns: of('table') };
  if (texts.length === 0) throw unsuitable('No column is left to predict from.');
  return { kind: 'text', columns: onlyOne(texts, 'text') };
}

/**
 * The columns to predict from.
 * @param taken columns that are the target or say the split.
 * @param empty columns without a value in any row.
 * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA
 */
export function chooseFeatures(
  request: PreparationRequest,
  columns: readonly StoredColumn[],
  taken: readonly string[],
  empty: ReadonlySet<string>,
): ChosenFeatures {
  const { features } = request;
  const others = columns.filter(({ name }) => !taken.includes(name));
  const chosen =
    features === undefined
      ? chooseByDefault(
          request,
          others.filter(({ name }) => !empty.has(name)),
        )
      : chooseNamed(features, request, columns);
  for (const { name } of chosen.columns) {
    if (taken.includes(name)) throw unsuitable(`"${name}" cannot be a feature: it is the target, or it says the split.`);
    if (empty.has(name)) throw unsuitable(`"${name}" has no value in any row.`);
  }
  const whyNot = (name: string): string => {
    if (features !== undefined) return 'it is not among the features asked for';
    if (empty.has(name)) return 'it has no value in any row';
    return chosen.kind === 'table' ? 'images and texts are not used beside other columns' : `the ${chosen.kind} is used alone`;
  };
  const unused = others.filter((each) => !chosen.columns.includes(each)).map(({ name }) => ({ name, reason: whyNot(name) }));
  return { ...chosen, unused };
}
