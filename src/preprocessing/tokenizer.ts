import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { TokenizerSpec } from '../packages/manifest.ts';

/** Turns texts into token ids. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /** @param maxLength ids that are wanted at the most. */
  encode(text: string, maxLength: number): number[];
}

/** Id of what the vocabulary does not have; 0 is padding, and the vocabulary begins behind it. */
const UNKNOWN = 1;
const FIRST = 2;

/**
 * Letters that are read for one token that is wanted. Tokenizers take their time, and of a text that is far too long only
 * the beginning is used.
 */
const LETTERS_PER_TOKEN = 64;

function beginningOf(text: string, maxLength: number): string {
  return text.length > maxLength * LETTERS_PER_TOKEN ? text.slice(0, maxLength * LETTERS_PER_TOKEN) : text;
}

const WORD = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu;

/** The pieces of a text that a trained tokenizer tells apart. */
export function splitText(text: string, kind: 'characters' | 'words'): readonly string[] {
  return kind === 'characters' ? Array.from(text) : (text.toLowerCase().match(WORD) ?? []);
}

function createVocabularyTokenizer(kind: 'characters' | 'words', vocabulary: readonly string[]): Tokenizer {
  const ids = new Map(vocabulary.map((piece, place) => [piece, FIRST + place]));
  return {
    vocabularySize: FIRST + vocabulary.length,
    encode: (text, maxLength) =>
      splitText(beginningOf(text, maxLength), kind)
        .slice(0, maxLength)
        .map((piece) => ids.get(piece) ?? UNKNOWN),
  };
}

/**
 * A tokenizer.json as Hugging Face's libraries write it.
 * @throws SlipwayError INVALID_MANIFEST when it is none.
 */
async function createFileTokenizer(content: string, file: string): Promise<Tokenizer> {
  const { Tokenizer: HuggingFaceTokenizer } = await import('@huggingface/tokenizers');
  try {
    const tokenizer = new HuggingFaceTokenizer(JSON.parse(content) as object, {});
    let largest = -1;
    for (const id of tokenizer.get_vocab(true).values()) if (id > largest) largest = id;
    return {
      vocabularySize: largest + 1,
      encode: (text, maxLength) => tokenizer.encode(beginningOf(text, maxLength)).ids.slice(0, maxLength),
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
  return createFileTokenizer(await readTokenizerFile(spec.file), spec.file);
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
