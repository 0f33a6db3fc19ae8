import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { preprocessText, type TextInput } from '../../../src/preprocessing/text.ts';
import { createTokenizer, splitText, tokenizerFilesIn } from '../../../src/preprocessing/tokenizer.ts';
import { preprocessing } from '../../helpers/preprocessing.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/tokenizers/', import.meta.url));
const expected = JSON.parse(await readFile(`${FOLDER}expected.json`, 'utf8')) as Record<string, { text: string; ids: number[] }[]>;
const noFiles = (): Promise<string> => Promise.reject(new Error('no file is needed'));

describe('createTokenizer', () => {
  it.each(Object.keys(expected))('reads a tokenizer.json of %s and gives the ids of the library that wrote it', async (name) => {
    const tokenizer = await createTokenizer(
      { kind: 'file', file: `${name}.json`, firstId: 0, specialTokens: true },
      tokenizerFilesIn(FOLDER),
    );
    for (const { text, ids } of expected[name]!) expect(tokenizer.encode(text, 100), text).toEqual(ids);
    expect(tokenizer.encode(expected[name]![0]!.text, 3)).toEqual(expected[name]![0]!.ids.slice(0, 3));
    expect(tokenizer.vocabularySize).toBe(400);
  });

  it('numbers characters and words by the vocabulary, behind padding and what is unknown', async () => {
    const characters = await createTokenizer({ kind: 'characters', vocabulary: ['a', '😀', ' '] }, noFiles);
    expect(characters.vocabularySize).toBe(5);
    expect(characters.encode('a 😀b', 10)).toEqual([2, 4, 3, 1]);
    const words = await createTokenizer({ kind: 'words', vocabulary: ['the', 'öl', '!', "'"] }, noFiles);
    expect(words.encode('The ÖL is new! the', 10)).toEqual([2, 3, 1, 1, 4, 2]);
    expect(words.encode('The ÖL is new!', 2)).toEqual([2, 3]);
  });

  it('leaves out what a file puts around a text, moves its ids and takes the last ones, as training asks for it', async () => {
    const [plain, moved] = await Promise.all(
      [
        { firstId: 0, specialTokens: true },
        { firstId: 1, specialTokens: false },
      ].map((options) => createTokenizer({ kind: 'file', file: 'wordpiece.json', ...options }, tokenizerFilesIn(FOLDER))),
    );
    const { text } = expected['wordpiece']![0]!;
    const bare = plain!.encode(text, 100).slice(1, -1);
    expect(moved!.encode(text, 100)).toEqual(bare.map((id) => id + 1));
    expect(moved!.encode(text, 2, 'last')).toEqual(bare.slice(-2).map((id) => id + 1));
    expect(moved!.vocabularySize).toBe(401);
    expect(moved!.pieceOf(bare.at(-1)! + 1)).toBe('.');
    const characters = await createTokenizer({ kind: 'characters', vocabulary: ['a', 'b'] }, noFiles);
    expect(characters.encode('abb', 2, 'last')).toEqual([3, 3]);
    expect([0, 1, 2, 3].map((id) => characters.pieceOf(id))).toEqual(['', '', 'a', 'b']);
  });

  it('does not read a text that is far too long to its end', async () => {
    const words = await createTokenizer({ kind: 'words', vocabulary: ['a'] }, noFiles);
    expect(words.encode('a '.repeat(10_000_000), 5)).toEqual([2, 2, 2, 2, 2]);
    expect(words.encode(`b${' a'.repeat(10_000_000)} b`, 2, 'last')).toEqual([2, 1]);
  });

  it('refuses a file that is missing or no tokenizer', async () => {
    for (const file of ['missing.json', 'expected.json']) {
      await expect(
        createTokenizer({ kind: 'file', file, firstId: 0, specialTokens: true }, tokenizerFilesIn(FOLDER)),
      ).rejects.toMatchObject({ code: 'INVALID_MANIFEST' });
    }
  });

  it('splits words of any letters, and keeps what stands between them', () => {
    expect(splitText("Don't – 42 naïve", 'words')).toEqual(['don', "'", 't', '–', '42', 'naïve']);
    expect(splitText('é😀', 'characters')).toEqual(['é', '😀']);
  });
});

describe('preprocessText', () => {
  const words = { kind: 'words', vocabulary: ['a', 'b'] };
  const inputs: Record<string, TextInput> = {
    ids: { name: 'ids', dtype: 'INT64' },
    mask: { name: 'mask', dtype: 'INT32' },
    kinds: { name: 'kinds', dtype: 'FP32' },
  };
  const inputOf = (name = 'ids'): TextInput => inputs[name]!;

  it('fills texts up to one length, in the type of each input', async () => {
    const spec = preprocessing({ kind: 'text', tokenizer: words, maxLength: 3, attentionMask: 'mask', tokenTypes: 'kinds' });
    const tensors = preprocessText(['a b a b', 'b'], spec, await createTokenizer(spec.tokenizer, noFiles), inputOf);
    expect([...tensors]).toEqual([
      ['ids', { dtype: 'INT64', shape: [2, 3], data: BigInt64Array.of(2n, 3n, 2n, 3n, 0n, 0n) }],
      ['mask', { dtype: 'INT32', shape: [2, 3], data: Int32Array.of(1, 1, 1, 1, 0, 0) }],
      ['kinds', { dtype: 'FP32', shape: [2, 3], data: new Float32Array(6) }],
    ]);
  });

  it('fills up to the longest text of the request where the manifest says so', async () => {
    const spec = preprocessing({ kind: 'text', tokenizer: words, maxLength: 100, padTo: 'longest', padId: 7 });
    const tokenizer = await createTokenizer(spec.tokenizer, noFiles);
    expect(preprocessText(['a', 'b a'], spec, tokenizer, inputOf).get('ids')).toMatchObject({
      shape: [2, 2],
      data: BigInt64Array.of(2n, 7n, 3n, 2n),
    });
    expect(preprocessText([''], spec, tokenizer, inputOf).get('ids')).toMatchObject({ shape: [1, 1] });
  });

  it('refuses an input that cannot take ids', async () => {
    const spec = preprocessing({ kind: 'text', tokenizer: words, maxLength: 3 });
    const tokenizer = await createTokenizer(spec.tokenizer, noFiles);
    expect(() => preprocessText(['a'], spec, tokenizer, () => ({ name: 'x', dtype: 'BYTES' }))).toThrow(
      expect.objectContaining({ code: 'INPUT_MISMATCH' }),
    );
  });
});
