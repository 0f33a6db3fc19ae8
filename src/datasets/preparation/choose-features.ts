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
  if (type === 'tokens') return 'text';
  return type === 'image' || type === 'text' ? type : 'table';
}

/** Whether a text is to be read even if few different ones make it look like a category. */
function wantsText({ task, text }: PreparationRequest): boolean {
  return task === 'next-token' || text !== undefined;
}

/** The vocabulary of a version that was trained on such lists. */
function isOwnVocabulary(tokenizer: NonNullable<NonNullable<PreparationRequest['text']>['tokenizer']>): boolean {
  return typeof tokenizer === 'object' && 'kind' in tokenizer && tokenizer.kind === 'list';
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
      `"${alone.name}" is ${kindOf(alone) === 'text' ? 'a text' : 'an image'}, which cannot be used together with other features.`,
    );
  }
  if (request.task === 'next-token' && first.type !== 'text' && first.type !== 'category')
    throw unsuitable(`The task next-token needs a text; "${first.name}" is of the type ${first.type}.`);
  const isText = first.type === 'category' && second === undefined && wantsText(request);
  return { kind: isText ? 'text' : kindOf(first), columns: chosen };
}

/** The one column of a kind. */
function onlyOne(found: readonly StoredColumn[], kind: FeatureKind | 'tokens'): readonly StoredColumn[] {
  const [first, second] = found;
  if (second !== undefined)
    throw unsuitable(
      `There are several columns of the type ${kind}, such as "${first!.name}" and "${second.name}"; name one of them as the feature.`,
    );
  return found;
}

function chooseByDefault(
  request: PreparationRequest,
  candidates: readonly StoredColumn[],
  isTagged: boolean,
): Omit<ChosenFeatures, 'unused'> {
  const of = (kind: FeatureKind): StoredColumn[] => candidates.filter((column) => kindOf(column) === kind);
  if (isTagged) {
    const lists = candidates.filter(({ type }) => type === 'tokens');
    if (lists.length === 0) throw unsuitable('There is no column with a list of tokens in each row, for which the target has the labels.');
    return { kind: 'text', columns: onlyOne(lists, 'tokens') };
  }
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

/** A text and its labels must have as many tokens in every row. */
function checkTagged({ name, type, lengthsDigest }: StoredColumn, tags: StoredColumn): void {
  if (type !== 'tokens')
    throw unsuitable(
      `The target "${tags.name}" has a label for each token, so the feature must be a list of tokens; "${name}" is of the type ${type}.`,
    );
  if (lengthsDigest !== tags.lengthsDigest)
    throw unsuitable(`In some row "${name}" has not as many tokens as "${tags.name}" has labels; each token needs one.`);
}

/**
 * The columns to predict from.
 * @param taken columns that are the target or say the split.
 * @param empty columns without a value in any row.
 * @param tags the column with a label for each token of the feature, if that is the target.
 * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA
 */
export function chooseFeatures(
  request: PreparationRequest,
  columns: readonly StoredColumn[],
  taken: readonly string[],
  empty: ReadonlySet<string>,
  tags: StoredColumn | undefined,
): ChosenFeatures {
  const { features } = request;
  const others = columns.filter(({ name }) => !taken.includes(name));
  const chosen =
    features === undefined
      ? chooseByDefault(
          request,
          others.filter(({ name }) => !empty.has(name)),
          tags !== undefined,
        )
      : chooseNamed(features, request, columns);
  const first = chosen.columns[0]!;
  if (tags !== undefined) checkTagged(first, tags);
  if (request.task === 'next-token' && first.type === 'tokens')
    throw unsuitable(`The task next-token needs a text; "${first.name}" is a list of tokens.`);
  if (first.type === 'tokens' && request.text?.tokenizer !== undefined && !isOwnVocabulary(request.text.tokenizer))
    throw unsuitable(`"${first.name}" is a list of tokens already; leave out text.tokenizer.`);
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
