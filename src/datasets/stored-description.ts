import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { DatasetDescription } from './dataset.ts';
import type { StoredColumn } from './records/layout.ts';

export const DESCRIPTION_FILE = 'dataset.json';

/** The form of the files; a dataset of another form cannot be read and is uploaded anew. */
const FORM = 1;

/** What is on disk beside the records: what everyone may know, and how the records are laid out. */
export interface StoredDescription {
  readonly description: DatasetDescription;
  readonly recordBytes: number;
  readonly columns: readonly StoredColumn[];
}

export function encodeDescription(stored: StoredDescription): string {
  return `${JSON.stringify({ form: FORM, ...stored })}\n`;
}

/** @throws SlipwayError INVALID_DATASET when the folder holds no dataset, or one of another form. */
export function readStoredDescription(folder: string): StoredDescription {
  let stored: StoredDescription & { readonly form: number };
  try {
    stored = JSON.parse(readFileSync(join(folder, DESCRIPTION_FILE), 'utf8')) as typeof stored;
  } catch (error) {
    throw new SlipwayError('INVALID_DATASET', `${DESCRIPTION_FILE} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
  if (stored.form !== FORM) {
    throw new SlipwayError(
      'INVALID_DATASET',
      `The dataset is stored in the form ${stored.form}; this server reads ${FORM}. Upload it again.`,
    );
  }
  return stored;
}
