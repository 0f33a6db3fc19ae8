import { createHash } from 'node:crypto';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Column, ColumnType, ValueCount } from '../dataset.ts';
import type { StoredColumn, Cell } from '../records/layout.ts';
import type { EncodedImage } from '../source.ts';
import { type ColumnSketch, isList } from './column-sketch.ts';

/** Different numbers that are counted; a column with more of them is no set of classes. */
const MAX_NUMBER_VALUES = 1_000;
/** Different tokens that are told of; a column with more of them holds no labels. */
const MAX_TOKEN_VALUES = 1_000;
/** So many different integers may be classes, or more when each is in several rows on average. */
const FEW_VALUES = 20;
const MIN_ROWS_OF_VALUE = 5;
/** A category is short; what is longer on average is text. */
const MAX_MEAN_CATEGORY_LENGTH = 64;
/** Texts that hardly ever come again are no categories, once there are enough rows to tell. */
const MAX_DISTINCT_SHARE = 0.5;
const MIN_ROWS_TO_TELL = 40;

/** Measures one column while its values are written. */
export interface ColumnProfile {
  readonly sketch: ColumnSketch;
  readonly cell: Cell;
  missing(): void;
  number(value: number): void;
  /** @returns the code of the text: how many different ones came before it; -1 when there are too many to keep. */
  text(text: string): number;
  tokens(tokens: readonly string[]): void;
  array(): void;
  image(image: EncodedImage): void;
  /** What is known of the column in the end. @throws SlipwayError INVALID_DATASET when there are too many categories. */
  finish(): { readonly column: Column; readonly stored: StoredColumn };
}

function mostFrequentFirst(counts: Iterable<ValueCount>): ValueCount[] {
  const compare = (a: ValueCount['value'], b: ValueCount['value']): number => (a === b ? 0 : a < b ? -1 : 1);
  return [...counts].toSorted((a, b) => b.count - a.count || compare(a.value, b.value));
}

/** The sizes of images: one shape when all are alike, else their bounds. */
function createSizeRange() {
  let low: EncodedImage | undefined;
  let high: EncodedImage | undefined;
  const bound = (a: EncodedImage, b: EncodedImage, pick: (...values: number[]) => number): EncodedImage => ({
    bytes: a.bytes,
    width: pick(a.width, b.width),
    height: pick(a.height, b.height),
    channels: pick(a.channels, b.channels),
  });
  const shapeOf = ({ height, width, channels }: EncodedImage): number[] => [height, width, channels];
  return {
    add(image: EncodedImage): void {
      const bare = { ...image, bytes: new Uint8Array() };
      low = low === undefined ? bare : bound(low, bare, Math.min);
      high = high === undefined ? bare : bound(high, bare, Math.max);
    },
    describe(): Pick<Column, 'shape' | 'shapeRange'> {
      if (low === undefined || high === undefined) return {};
      const range = { smallest: shapeOf(low), largest: shapeOf(high) };
      return range.smallest.join() === range.largest.join() ? { shape: range.smallest } : { shapeRange: range };
    },
  };
}

export function createColumnProfile(sketch: ColumnSketch, cell: Cell, maxCategories: number): ColumnProfile {
  const { source, given } = sketch;
  const { storage } = cell;
  let rows = 0;
  let missing = 0;
  let numbers = 0;
  let isInteger = true;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let mean = 0;
  /** Sum of squared distances from the mean (B. P. Welford, 1962). */
  let squares = 0;
  let numberCounts: Map<number, number> | undefined = new Map();
  const codes = new Map<string, number>();
  const textCounts: number[] = [];
  let beyond = false;
  let textLength = 0;
  const sizes = createSizeRange();
  const lengths = createHash('sha256');
  let longest = 0;

  function textType(): ColumnType {
    if (beyond && (given === 'category' || (given === undefined && source.kind === 'label'))) {
      throw new SlipwayError(
        'INVALID_DATASET',
        `"${source.name}" has more than the ${maxCategories} different texts that a category may have.`,
      );
    }
    if (given !== undefined) return given;
    if (beyond) return 'text';
    if (source.kind === 'label') return 'category';
    const present = rows - missing;
    const longTexts = textLength > MAX_MEAN_CATEGORY_LENGTH * present;
    const hardlyTwice = present >= MIN_ROWS_TO_TELL && codes.size > MAX_DISTINCT_SHARE * present;
    return longTexts || hardlyTwice ? 'text' : 'category';
  }

  function numberType(): ColumnType {
    if (given !== undefined) return given;
    if (sketch.sawBoolean) return 'boolean';
    return isInteger && numbers > 0 ? 'integer' : 'number';
  }

  /** Whether the numbers are so few that they may be classes: each comes again, or there are not many. */
  function areClasses(): boolean {
    if (!isInteger || numberCounts === undefined) return false;
    return numberCounts.size <= FEW_VALUES || numbers >= MIN_ROWS_OF_VALUE * numberCounts.size;
  }

  /** The code of a text: how many different ones came before it; undefined when there are too many to keep. */
  function codeOf(text: string): number | undefined {
    let code = codes.get(text);
    if (code === undefined) {
      if (codes.size === maxCategories) {
        beyond = true;
        return undefined;
      }
      code = codes.size;
      codes.set(text, code);
      textCounts.push(0);
    }
    textCounts[code] = textCounts[code]! + 1;
    return code;
  }

  function valueCounts(): ValueCount[] {
    return mostFrequentFirst([...codes].map(([value, code]) => ({ value, count: textCounts[code]! })));
  }

  function describe(): Pick<StoredColumn, 'dictionary' | 'lengthsDigest'> & { readonly column: Column } {
    const { name } = source;
    if (isList(sketch)) {
      const column: Column = {
        name,
        type: 'tokens',
        missing,
        longest,
        ...(!beyond && codes.size <= MAX_TOKEN_VALUES && { values: valueCounts() }),
      };
      return { column, lengthsDigest: lengths.digest('hex') };
    }
    if (storage.kind === 'array') {
      return { column: { name, type: given ?? (source.isImage === true ? 'image' : 'vector'), missing, shape: storage.shape } };
    }
    if (storage.kind === 'bytes') return { column: { name, type: 'image', missing, ...sizes.describe() } };
    if (storage.kind === 'string') {
      const type = textType();
      if (type !== 'category') return { column: { name, type, missing, characters: textLength } };
      return { column: { name, type, missing, values: valueCounts() }, dictionary: [...codes.keys()] };
    }
    const type = numberType();
    const isBoolean = type === 'boolean';
    const values = areClasses()
      ? mostFrequentFirst([...numberCounts!].map(([value, count]) => ({ value: isBoolean ? value === 1 : value, count })))
      : undefined;
    return {
      column: {
        name,
        type,
        missing,
        ...(numbers > 0 && !isBoolean && { min, max, mean, std: Math.sqrt(squares / numbers) }),
        ...(values !== undefined && { values }),
      },
    };
  }

  return {
    sketch,
    cell,
    missing() {
      rows += 1;
      missing += 1;
      if (isList(sketch)) lengths.update('0 ');
    },
    number(value) {
      rows += 1;
      numbers += 1;
      if (value < min) min = value;
      if (value > max) max = value;
      const distance = value - mean;
      mean += distance / numbers;
      squares += distance * (value - mean);
      if (isInteger && !Number.isInteger(value)) isInteger = false;
      if (numberCounts === undefined || !isInteger) return;
      numberCounts.set(value, (numberCounts.get(value) ?? 0) + 1);
      if (numberCounts.size > MAX_NUMBER_VALUES) numberCounts = undefined;
    },
    text(text) {
      rows += 1;
      textLength += text.length;
      return codeOf(text) ?? -1;
    },
    tokens(tokens) {
      rows += 1;
      longest = Math.max(longest, tokens.length);
      lengths.update(`${tokens.length} `);
      for (const token of tokens) codeOf(token);
    },
    array() {
      rows += 1;
    },
    image(image) {
      rows += 1;
      sizes.add(image);
    },
    finish() {
      const { column, ...rest } = describe();
      return { column, stored: { name: column.name, type: column.type, cell, ...rest } };
    },
  };
}
