/*
 * What a dataset is, and how it is read for training. A trainer needs this file only: `openDataset` (open-dataset.ts)
 * gives a `Dataset`, `prepare` looks through it and says what comes out, `open` reads batches.
 */
import type { Preprocessing } from '../packages/manifest.ts';

/** The file formats that are read. */
export const DATASET_FORMATS = ['csv', 'jsonl', 'npy', 'npz', 'parquet', 'images', 'idx'] as const;
export type DatasetFormat = (typeof DATASET_FORMATS)[number];

/**
 * `number` and `integer` are doubles; `boolean` is true or false; `category` is one of a few texts; `text` any text;
 * `image` is a picture; `vector` is an array of numbers, of the same shape in every row; `tokens` is a list of texts of any
 * length, such as the words of a sentence, or a label for each of them.
 */
export const COLUMN_TYPES = ['number', 'integer', 'boolean', 'category', 'text', 'image', 'vector', 'tokens'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

/** A value of a column and in how many rows it is. */
export interface ValueCount {
  readonly value: string | number | boolean;
  readonly count: number;
}

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Rows without a value. */
  readonly missing: number;
  /** Of number and integer columns that have a value at all; `std` is that of the population. */
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  readonly std?: number;
  /**
   * Every value and its count, most frequent first: the class balance. Of category and boolean columns, and of
   * integer columns with few different values; of tokens with few different ones, how often each comes.
   */
  readonly values?: readonly ValueCount[];
  /** Of texts: how long those of all rows are together, in UTF-16 code units. */
  readonly characters?: number;
  /** Of tokens: those of the longest row. */
  readonly longest?: number;
  /** Of vectors, and of images that all have one size: `[height, width, channels]`. */
  readonly shape?: readonly number[];
  /** Of images of several sizes: the smallest and the largest of each dimension. */
  readonly shapeRange?: { readonly smallest: readonly number[]; readonly largest: readonly number[] };
}

/** A row that could not be read and was left out. */
export interface SkippedRow {
  /** E.g. `row 17` or `cat/12.png`. */
  readonly place: string;
  readonly reason: string;
}

/** What everyone may know of a dataset; plain data. */
export interface DatasetDescription {
  readonly id: string;
  readonly name: string;
  readonly format: DatasetFormat;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly rows: number;
  /** What it takes on disk, without what is made of it for training. */
  readonly bytes: number;
  /**
   * SHA-256 of the file that was uploaded; of several files, that of the text that `sha256sum` prints of them in the
   * order of their names.
   */
  readonly digest: string;
  readonly columns: readonly Column[];
  /** The column that says for which part of the work a row is, when the source says it, e.g. by its folders. */
  readonly splitColumn?: string;
  /** The first rows; images as their size, long texts cut. */
  readonly preview: readonly Readonly<Record<string, unknown>>[];
  /** How many rows were left out because they could not be read, and the first of them. */
  readonly skipped: { readonly count: number; readonly first: readonly SkippedRow[] };
}

export const SPLITS = ['train', 'validation', 'test'] as const;
export type Split = (typeof SPLITS)[number];

/** Which rows are for what. Everything may be left out. */
export interface SplitRequest {
  /**
   * A column that says it, with values such as `train`, `validation` (`val`, `valid`, `dev`) and `test`. Default: the
   * dataset's own `splitColumn`, if it has one. What the column does not tell of validation and test is drawn from train.
   */
  readonly column?: string;
  /** Share of the rows for validation. Default 0.1, or 0 when the column names rows for it. */
  readonly validation?: number;
  /** Share of the rows for testing. Default 0.1, or 0 when there is a column. */
  readonly test?: number;
  /** `random` draws by `seed`, `ordered` takes validation and then test from the end, as for time series. Default `random`. */
  readonly order?: 'random' | 'ordered';
  /** Default 0. */
  readonly seed?: number;
  /** Draw from each class alike. Default true for classification by random order, and never done otherwise. */
  readonly stratify?: boolean;
}

/** What images become. What is left out of the size is that of the images, which must then all have one. */
export interface ImageRequest {
  readonly width?: number;
  readonly height?: number;
  /** 1 = greyscale, 3 = colours. */
  readonly channels?: 1 | 3;
  /** `fill` stretches, `contain` pads with black, `cover` crops. Default `fill`. */
  readonly fit?: 'fill' | 'contain' | 'cover';
  /** Order of the dimensions. Default `HWC`. */
  readonly layout?: 'HWC' | 'CHW';
}

/** What texts become. */
export interface TextRequest {
  /**
   * `characters` and `words` are trained: their vocabulary is what the training rows hold most often. An object is the
   * content of a tokenizer.json of Hugging Face, with its ids from `firstId` on (default 1, so that 0 is left for padding) and with the
   * tokens that it puts around a text (default: but for the task next-token), or a vocabulary that was trained. Default `words`, for the task
   * next-token `characters`.
   */
  readonly tokenizer?:
    | 'characters'
    | 'words'
    | { readonly json: string; readonly firstId?: number; readonly specialTokens?: boolean }
    | { readonly kind: 'characters' | 'words' | 'list'; readonly vocabulary: readonly string[] };
  /** Most pieces in the vocabulary of a tokenizer that is trained. Default 10,000. */
  readonly vocabularySize?: number;
  /**
   * Tokens of an example: longer texts are cut, shorter ones filled up with id 0. Default: those of the longest training
   * text, at most 256; for the task next-token 64.
   */
  readonly maxLength?: number;
}

export const TASKS = ['classification', 'regression', 'token-classification', 'next-token'] as const;
export type Task = (typeof TASKS)[number];

/** What to make of a dataset. Everything may be left out. */
export interface PreparationRequest {
  /** The column to be predicted. Without one there are inputs only. */
  readonly target?: string;
  /**
   * Default: classification when the target is a category, a boolean or an integer with at most 100 different values,
   * regression for other numbers and for vectors, token-classification for tokens: they are the labels of those in the
   * feature, one for each. `next-token` has no target column: a text is to be continued.
   */
  readonly task?: Task;
  /** The columns to predict from. Default: all others that can be used; an image column is used alone. */
  readonly features?: readonly string[];
  readonly split?: SplitRequest;
  /** What the image becomes, when the feature is one. Levels 0–255 become 0–1. */
  readonly image?: ImageRequest;
  /** What the text becomes, when the feature is one. */
  readonly text?: TextRequest;
  /** How numbers are scaled: `standard` to mean 0 and deviation 1 over the training rows. Default `standard`. */
  readonly scaling?: 'standard' | 'none';
  /** How categories that no training row has are met when the model is served. Default `refuse`. */
  readonly unknownCategories?: 'refuse' | 'ignore';
}

/** One input of the model that is to be trained. */
export interface InputSpec {
  readonly name: string;
  readonly dtype: 'FP32' | 'INT32';
  /** Of one example, without the batch dimension; images are `[height, width, channels]`, or as `image.layout` says. */
  readonly shape: readonly number[];
  /** Of token ids: one more than the largest. */
  readonly vocabularySize?: number;
}

export type TargetSpec =
  /** Class indexes into `labels`: INT32 of the shape [N]. `counts` are the training rows of each class. */
  | { readonly kind: 'class'; readonly column: string; readonly labels: readonly string[]; readonly counts: readonly number[] }
  /** Values as they are, several of a vector: FP32 of the shape [N, width]. `mean` and `std` are those of the training rows. */
  | {
      readonly kind: 'number';
      readonly column: string;
      readonly width: number;
      readonly mean: number;
      readonly std: number;
    }
  /**
   * For each token of the input the index of its label in `labels`, and −1 behind the last one: INT32 of the shape
   * [N, maxLength]. `counts` are the training tokens of each label.
   */
  | { readonly kind: 'tags'; readonly column: string; readonly labels: readonly string[]; readonly counts: readonly number[] }
  /** For each token the one that follows it: INT32 of the shape [N, maxLength]. */
  | { readonly kind: 'token'; readonly vocabularySize: number }
  /** No target. */
  | { readonly kind: 'none' };

/**
 * What a dataset becomes for training: plain data, to be kept with the job. With it the same examples come out in the
 * same order in any process, and nothing is measured anew.
 */
export interface Preparation {
  readonly dataset: { readonly id: string; readonly name: string; readonly digest: string };
  readonly inputs: readonly InputSpec[];
  /** The columns that the inputs are made of. */
  readonly features: readonly string[];
  readonly target: TargetSpec;
  /** Examples of each split: rows, or for the task next-token the windows that their texts are cut into. */
  readonly rows: Readonly<Record<Split, number>>;
  /** Rows that are in no split, because their target is missing or the split column names another. */
  readonly unusedRows: number;
  /** Columns that are neither features nor target nor split, each with the reason. */
  readonly unusedColumns: readonly { readonly name: string; readonly reason: string }[];
  readonly split: Required<Omit<SplitRequest, 'column'>> & { readonly column?: string };
  /** For `preprocessing` in slipway.json, so that serving does what training did. */
  readonly preprocessing: Preprocessing;
  /** Files that belong beside slipway.json, by their names: the tokenizer that was given. */
  readonly files: Readonly<Record<string, string>>;
}

export interface BatchOptions {
  readonly split: Split;
  /** Examples in a batch; the last one may have fewer. */
  readonly batchSize: number;
  /** Order by these; the order of the dataset when left out. The same numbers give the same order. */
  readonly shuffle?: { readonly seed: number; readonly epoch: number } | undefined;
  /** Batches to pass over, for a job that goes on in the middle of an epoch. Default 0. */
  readonly skip?: number | undefined;
  /** Leave out a last batch that is not full. Default false. */
  readonly dropLast?: boolean | undefined;
}

/** A tensor of the first dimension N, the examples of the batch. */
export interface BatchTensor {
  readonly dtype: 'FP32' | 'INT32';
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** Valid until the next batch is asked for: its arrays are used again. */
export interface Batch {
  /** Examples in it. */
  readonly size: number;
  /** In the order of `Preparation.inputs`. */
  readonly inputs: readonly BatchTensor[];
  readonly target: BatchTensor | undefined;
}

/** Prepared examples, read from disk. */
export interface Examples {
  readonly preparation: Preparation;
  /** Batches of one pass over a split. Several passes may be under way at once. */
  batches(options: BatchOptions): AsyncIterable<Batch>;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Told from time to time how many rows of how many are made ready. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Gives the work up. */
  readonly signal?: AbortSignal | undefined;
}

export interface Dataset {
  readonly description: DatasetDescription;
  /**
   * Looks through the rows: splits them, counts classes, measures numbers, collects categories.
   * @throws SlipwayError COLUMN_NOT_FOUND, UNSUITABLE_DATA
   */
  prepare(request: PreparationRequest): Promise<Preparation>;
  /**
   * Opens the examples of a preparation. What is dear to make of the rows, such as the pixels of image files, is made
   * now, if no job before has asked for the same, and kept beside the dataset.
   * @throws SlipwayError UNSUITABLE_DATA when the preparation is of other data; STORAGE_FULL.
   */
  open(preparation: Preparation, options?: OpenOptions): Promise<Examples>;
}
