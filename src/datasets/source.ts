import type { DatasetFormat } from './dataset.ts';
import type { ArrayDType } from './records/layout.ts';

/** A file that was uploaded, or that lies in a folder. */
export interface SourceFile {
  readonly path: string;
  /** As its owner calls it; folders with `/`. */
  readonly name: string;
}

/**
 * What a source says of a column before its rows are read: `text` are texts whose type is to be found, as in CSV;
 * `value` carry their own, as in JSON; the rest is certain. `label` are names of classes, `list` lists of texts.
 */
export interface SourceColumn {
  readonly name: string;
  readonly kind: 'text' | 'value' | 'label' | 'list' | 'array' | 'image';
  /** Of an array. */
  readonly dtype?: ArrayDType;
  readonly shape?: readonly number[];
  /** The numbers are the levels of an image, of the shape `[height, width, channels]`. */
  readonly isImage?: boolean;
  /** The values are the names of splits. */
  readonly isSplit?: boolean;
}

/** An image file that can be decoded, and what comes out. */
export interface EncodedImage {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 1 = greyscale, 3 = colours. */
  readonly channels: number;
}

/** One value: a text, a number, a truth, an array of numbers, a list of texts, an image, or nothing. */
export type Value = string | number | boolean | null | undefined | ArrayLike<number> | readonly string[] | EncodedImage;

export interface RowGroup {
  /** Those known so far; later groups may have more at the end. A row that is shorter lacks the rest. */
  readonly columns: readonly SourceColumn[];
  readonly rows: readonly (readonly Value[])[];
  /** Where a row comes from, for messages: `row 17`, `cat/12.png`. */
  place(index: number): string;
}

/** Takes rows that cannot be read. @throws SlipwayError INVALID_DATASET when they are too many. */
export type OnBadRow = (place: string, reason: string) => void;

/** The rows of a file or several, in order. They can be read more than once. */
export interface Source {
  readonly format: DatasetFormat;
  rows(onBadRow: OnBadRow): AsyncIterable<RowGroup>;
}
