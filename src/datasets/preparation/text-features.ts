import { SlipwayError } from '../../errors/slipway-error.ts';
import type { TextPreprocessing, TokenizerSpec } from '../../packages/manifest.ts';
import { createTokenizer, splitText, type Text } from '../../preprocessing/tokenizer.ts';
import type { InputSpec, Preparation, PreparationRequest, TextRequest } from '../dataset.ts';
import type { StoredColumn } from '../records/layout.ts';
import { readTextOf, type TextSource } from '../derived/tokens.ts';
import type { RecordFile } from '../records/record-file.ts';
import type { StoredDescription } from '../stored-description.ts';
import { type Assignment, SPLIT_NUMBER } from './assign-splits.ts';

const DEFAULT_VOCABULARY = 10_000;
const DEFAULT_LONGEST = 256;
export const DEFAULT_CONTEXT = 64;
/** What is counted before the rare pieces are thrown away, so that memory has a bound. */
const MAX_COUNTED = 1_000_000;

/** Ids of a tokenizer that is given begin here: its 0 may be a piece of text, and 0 fills texts up. */
const FIRST_ID = 1;
const TOKENIZER_FILE = 'tokenizer.json';
export const TOKENS_INPUT = 'tokens';

/** What texts become, and the files that belong to it. */
export interface TextFeatures {
  readonly input: InputSpec;
  readonly preprocessing: TextPreprocessing;
  readonly files: Preparation['files'];
}

/** The texts of the rows for training; those that are missing are left out. */
async function* trainingTexts(file: RecordFile, column: StoredColumn, assignment: Assignment): AsyncGenerator<Text> {
  for await (const { views, count, first } of file.scan()) {
    for (let record = 0; record < count; record += 1) {
      if (assignment[first + record] !== SPLIT_NUMBER.train) continue;
      const text = await readTextOf(file, column, views, record);
      if (text !== undefined) yield text;
    }
  }
}

/** The pieces that come most often; equally frequent ones in the order of their letters. */
function mostFrequent(counts: ReadonlyMap<string, number>, size: number): string[] {
  return [...counts]
    .toSorted(([a, countOfA], [b, countOfB]) => countOfB - countOfA || (a < b ? -1 : 1))
    .slice(0, size)
    .map(([piece]) => piece);
}

/** Forgets the pieces that came once, then twice, …, until half of the room is free. */
function forgetRare(counts: Map<string, number>): void {
  for (let rare = 1; counts.size > MAX_COUNTED / 2; rare += 1) {
    for (const [piece, count] of counts) if (count <= rare) counts.delete(piece);
  }
}

async function trainVocabulary(kind: 'characters' | 'words' | 'list', size: number, texts: AsyncIterable<Text>): Promise<string[]> {
  const counts = new Map<string, number>();
  for await (const text of texts) {
    for (const piece of typeof text === 'string' ? splitText(text, kind) : text) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    if (counts.size > MAX_COUNTED) forgetRare(counts);
  }
  if (counts.size === 0) throw new SlipwayError('UNSUITABLE_DATA', 'The texts of the training rows are empty.');
  return mostFrequent(counts, size);
}

async function tokenizerOf(
  asked: NonNullable<TextRequest['tokenizer']> | 'list',
  vocabularySize: number,
  texts: () => AsyncIterable<Text>,
  isContinued: boolean,
): Promise<TokenizerSpec> {
  if (typeof asked !== 'object') return { kind: asked, vocabulary: await trainVocabulary(asked, vocabularySize, texts()) };
  if ('json' in asked) {
    const { firstId = FIRST_ID, specialTokens = !isContinued } = asked;
    return { kind: 'file', file: TOKENIZER_FILE, firstId, specialTokens };
  }
  return { kind: asked.kind, vocabulary: [...asked.vocabulary] };
}

/** What is needed to make tokens of a column. @throws SlipwayError INVALID_MANIFEST */
export async function textSource(
  { description, columns }: StoredDescription,
  folder: string,
  file: RecordFile,
  column: StoredColumn,
  { preprocessing, files }: Pick<TextFeatures, 'preprocessing' | 'files'>,
): Promise<TextSource> {
  const tokenizer = await createTokenizer(preprocessing.tokenizer, async (name) => files[name] ?? '');
  return { folder, file, rows: description.rows, column, columnIndex: columns.indexOf(column), preprocessing, files, tokenizer };
}

/** Trains the tokenizer, or takes the one that is given, and measures how long texts are. */
export async function measureTexts(
  request: PreparationRequest,
  column: StoredColumn,
  file: RecordFile,
  assignment: Assignment,
): Promise<TextFeatures> {
  const isContinued = request.task === 'next-token';
  const byDefault = isContinued ? 'characters' : 'words';
  const { vocabularySize = DEFAULT_VOCABULARY, maxLength } = request.text ?? {};
  const asked = request.text?.tokenizer ?? (column.type === 'tokens' ? 'list' : byDefault);
  const texts = (): AsyncGenerator<Text> => trainingTexts(file, column, assignment);
  const spec = await tokenizerOf(asked, vocabularySize, texts, isContinued);
  const files: Record<string, string> = typeof asked === 'object' && 'json' in asked ? { [TOKENIZER_FILE]: asked.json } : {};
  const tokenizer = await createTokenizer(spec, async () => files[TOKENIZER_FILE]!);
  let length = maxLength ?? (isContinued ? DEFAULT_CONTEXT : 1);
  if (maxLength === undefined && !isContinued) {
    for await (const text of texts()) {
      length = Math.max(length, tokenizer.encode(text, DEFAULT_LONGEST).length);
      if (length >= DEFAULT_LONGEST) break;
    }
  }
  const { vocabularySize: known } = tokenizer;
  return {
    input: { name: TOKENS_INPUT, dtype: 'INT32', shape: [length], vocabularySize: isContinued ? known + 1 : known },
    preprocessing: {
      kind: 'text',
      input: TOKENS_INPUT,
      column: column.name,
      tokenizer: spec,
      maxLength: length,
      // The end of a text is a token of its own, behind those of the tokenizer.
      ...(isContinued ? { truncate: 'beginning', endOfText: known } : { truncate: 'end' }),
      padTo: 'maxLength',
      padId: 0,
    },
    files,
  };
}
