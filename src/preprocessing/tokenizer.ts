import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { TokenizerSpec } from '../packages/manifest.ts';

/** A text, or its tokens. */
export type Text = string | readonly string[];

/** Turns texts into token ids. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /**
   * @param text whole or, for a tokenizer of the kind `list`, in its pieces
   * @param maxLength ids that are wanted at the most @param keep which of them, of more. Default: the first
   */
  encode(text: Text, maxLength: number, keep?: 'first' | 'last'): number[];
  /** What an id stands for, as it is put behind a text. */
  pieceOf(id: number): string;
}

/** Id of what the vocabulary does not have; 0 is padding, and the vocabulary begins behind it. */
const UNKNOWN = 1;
const FIRST = 2;

/**
 * Letters that are read for one token that is wanted. Tokenizers take their time, and of a text that is far too long only
 * one end is used.
 */
const LETTERS_PER_TOKEN = 64;

function partOf(text: string, maxLength: number, keep: 'first' | 'last'): string {
  const letters = maxLength * LETTERS_PER_TOKEN;
  if (text.length <= letters) return text;
  return keep === 'first' ? text.slice(0, letters) : text.slice(-letters);
}

function wholeText(text: Text): string {
  return typeof text === 'string' ? text : text.join(' ');
}

function upTo<Item>(items: readonly Item[], maxLength: number, keep: 'first' | 'last'): readonly Item[] {
  if (items.length <= maxLength) return items;
  return keep === 'first' ? items.slice(0, maxLength) : items.slice(-maxLength);
}

const WORD = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu;

type VocabularyKind = Exclude<TokenizerSpec['kind'], 'file'>;

/** The pieces of a text that a trained tokenizer tells apart. */
export function splitText(text: string, kind: VocabularyKind): readonly string[] {
  switch (kind) {
    case 'characters':
      return Array.from(text);
    case 'words':
      return text.toLowerCase().match(WORD) ?? [];
    case 'list':
      return text.match(/\S+/gu) ?? [];
  }
}

function createVocabularyTokenizer(kind: VocabularyKind, vocabulary: readonly string[]): Tokenizer {
  const ids = new Map(vocabulary.map((piece, place) => [piece, FIRST + place]));
  return {
    vocabularySize: FIRST + vocabulary.length,
    encode: (text, maxLength, keep = 'first') =>
      upTo(typeof text === 'string' ? splitText(partOf(text, maxLength, keep), kind) : text, maxLength, keep).map(
        (piece) => ids.get(piece) ?? UNKNOWN,
      ),
    pieceOf: (id) => vocabulary[id - FIRST] ?? '',
  };
}

/**
 * A tokenizer.json as Hugging Face's libraries write it.
 * @throws SlipwayError INVALID_MANIFEST when it is none.
 */
async function createFileTokenizer(
  content: string,
  { file, firstId, specialTokens }: Extract<TokenizerSpec, { kind: 'file' }>,
): Promise<Tokenizer> {
  const { Tokenizer: HuggingFaceTokenizer } = await import('@huggingface/tokenizers');
  try {
    const tokenizer = new HuggingFaceTokenizer(JSON.parse(content) as object, {});
    const options = { add_special_tokens: specialTokens };
    let largest = -1;
    for (const id of tokenizer.get_vocab(true).values()) if (id > largest) largest = id;
    return {
      vocabularySize: firstId + largest + 1,
      encode: (text, maxLength, keep = 'first') =>
        upTo<number>(tokenizer.encode(partOf(wholeText(text), maxLength, keep), options).ids, maxLength, keep).map((id) => firstId + id),
      pieceOf: (id) => (id < firstId ? '' : tokenizer.decode([id - firstId], { skip_special_tokens: false })),
    };
  } catch (error) {
    throw new SlipwayError('INVALID_MANIFEST', `${file} is no tokenizer that can be read: ${messageOf(error)}.`, { cause: error });
  }
}

/**
 * @param readTokenizerFile gives the content of a file that the specification names.
 * @throws SlipwayError INVALID_MANIFEST
 */
export async function createTokenizer(spec: TokenizerSpec, readTokenizerFile: (file: string) => Promise<string>): Promise<Tokenizer> {
  if (spec.kind !== 'file') return createVocabularyTokenizer(spec.kind, spec.vocabulary);
  return createFileTokenizer(await readTokenizerFile(spec.file), spec);
}

/** Reads tokenizer files of a version folder. @throws SlipwayError INVALID_MANIFEST when there is no such file. */
export function tokenizerFilesIn(folder: string): (file: string) => Promise<string> {
  return async (file) => {
    try {
      return await readFile(join(folder, file), 'utf8');
    } catch (error) {
      throw new SlipwayError('INVALID_MANIFEST', `The tokenizer ${file} cannot be read: ${messageOf(error)}.`, { cause: error });
    }
  };
}
