import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Column, InputSpec, PreparationRequest, TargetSpec } from '../dataset.ts';
import { elementsOf, type StoredColumn } from '../records/layout.ts';
import { readStoredDescription } from '../stored-description.ts';
import { splitNamed } from '../split-names.ts';
import { chooseFeatures } from './choose-features.ts';
import { createFeatureMeter } from './feature-meter.ts';
import { resolveSplit } from './assign-splits.ts';
import { type ResolvedTarget, resolveTarget } from './resolve-target.ts';
import { DEFAULT_CONTEXT, TOKENS_INPUT } from './text-features.ts';

/** What a preparation will be, as far as that can be said before the rows are read. */
export interface Foreseen {
  readonly kind: 'image' | 'text' | 'table';
  /** A size is NaN when it is not known yet. */
  readonly input: InputSpec;
  /** The counts of classes and what is measured of numbers are not known; undefined when the classes are not, either. */
  readonly target: TargetSpec | undefined;
}

/** How many values the columns of a table become; a category becomes as many as the training rows have. */
function tableShape(columns: readonly StoredColumn[]): readonly number[] {
  const shapes = columns.map(({ type, cell: { storage } }) =>
    storage.kind === 'array' ? storage.shape : [type === 'category' ? Number.NaN : 1],
  );
  return shapes.length === 1 ? shapes[0]! : [shapes.reduce((width, shape) => width + elementsOf(shape), 0)];
}

/** Rows of which the split column says nothing are in no split, and their classes may be none. */
function usesAllRows(split: Column | undefined): boolean {
  return (
    split === undefined || (split.missing === 0 && split.values?.every(({ value }) => splitNamed(String(value)) !== undefined) === true)
  );
}

function targetOf(target: ResolvedTarget, isContinued: boolean, split: Column | undefined): TargetSpec | undefined {
  if (isContinued) return { kind: 'token', vocabularySize: Number.NaN };
  switch (target.kind) {
    case 'class':
    case 'tags': {
      const { kind, column, labels } = target;
      return usesAllRows(split) ? { kind, column, labels, counts: labels.map(() => 0) } : undefined;
    }
    case 'number':
      return { kind: 'number', column: target.column, width: target.width, mean: 0, std: 1 };
    case 'none':
      return { kind: 'none' };
  }
}

/** Texts that are continued must fill a window; a trained tokenizer makes at most a token of each character and one of each end. */
function checkFillsWindow(column: Column, rows: number, length: number, { text }: PreparationRequest): void {
  const { name, values, missing } = column;
  const characters = column.characters ?? values?.reduce((sum, { value, count }) => sum + String(value).length * count, 0);
  // What a tokenizer that is given makes of them is not known, nor how long the texts are of which an older version wrote the description.
  if (typeof text?.tokenizer === 'object' || characters === undefined || characters + rows - missing > length) return;
  const message = `The texts in "${name}" have ${characters} characters, too few for a window of ${length} tokens; text.maxLength makes it smaller.`;
  throw new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'text.maxLength', message }] });
}

/**
 * Looks at a dataset's description only, as fast as a request must be answered.
 * @param folder of the dataset
 * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA for what a preparation would be refused for all the same
 */
export function foresee(folder: string, request: PreparationRequest): Foreseen {
  const { description, columns, recordBytes } = readStoredDescription(folder);
  const target = resolveTarget(request, columns, description.columns, recordBytes);
  const { column: splitName } = resolveSplit(request.split ?? {}, description.splitColumn, { columns, target, recordBytes });
  const taken = [target.kind === 'none' ? undefined : target.column, splitName].filter((name) => name !== undefined);
  const empty = new Set(description.columns.filter(({ missing }) => missing === description.rows).map(({ name }) => name));
  const features = chooseFeatures(request, columns, taken, empty, target.kind === 'tags' ? target.stored : undefined);
  const isContinued = request.task === 'next-token';
  const inputOf = (): InputSpec => {
    if (features.kind === 'image') return createFeatureMeter(features, request, description.columns, recordBytes).finish().input;
    if (features.kind === 'table') return { name: 'features', dtype: 'FP32', shape: tableShape(features.columns) };
    const length = request.text?.maxLength ?? (isContinued ? DEFAULT_CONTEXT : Number.NaN);
    if (isContinued)
      checkFillsWindow(
        description.columns.find(({ name }) => name === features.columns[0]!.name)!,
        description.rows,
        length,
        request,
      );
    return { name: TOKENS_INPUT, dtype: 'INT32', shape: [length], vocabularySize: Number.NaN };
  };
  const split = description.columns.find(({ name }) => name === splitName);
  return { kind: features.kind, input: inputOf(), target: targetOf(target, isContinued, split) };
}
