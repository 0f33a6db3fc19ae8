import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Preparation, Split } from '../../../src/datasets/dataset.ts';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import type { TextPreprocessing } from '../../../src/packages/manifest.ts';
import { preprocessText } from '../../../src/preprocessing/text.ts';
import { createTokenizer } from '../../../src/preprocessing/tokenizer.ts';
import { ingestFiles, readExamples, readRecords, saved } from '../../helpers/datasets.ts';

const data = (name: string): Promise<Buffer> => readFile(new URL(`../../../examples/data/${name}`, import.meta.url));
const tokenizerJson = await readFile(new URL('../../fixtures/tokenizers/wordpiece.json', import.meta.url), 'utf8');

describe('preparing texts', () => {
  it.each(['words', 'characters', { json: tokenizerJson }] as const)(
    'makes with the tokenizer %o in training what the server makes of the same texts',
    async (tokenizer) => {
      const { folder, description } = await ingestFiles({ 'languages.csv': await data('languages.csv') });
      expect(description.columns).toMatchObject([
        { name: 'text', type: 'text' },
        { name: 'language', type: 'category' },
      ]);
      const dataset = openDataset(folder);
      const preparation = await dataset.prepare({
        target: 'language',
        text: { tokenizer, maxLength: 40, vocabularySize: 500 },
        split: { validation: 0, test: 0 },
      });
      const spec = preparation.preprocessing as TextPreprocessing;
      expect(preparation.inputs).toMatchObject([{ name: 'tokens', dtype: 'INT32', shape: [40] }]);
      expect(preparation.target).toMatchObject({
        kind: 'class',
        labels: ['Danish', 'Dutch', 'English', 'French', 'German', 'Italian', 'Portuguese', 'Spanish'],
      });
      const examples = await dataset.open(saved(preparation));
      const read = await readExamples(examples, { split: 'train', batchSize: 32 });
      await examples.close();
      const texts = (await readRecords(folder)).map(([text]) => text as string);
      const served = preprocessText(texts, spec, await createTokenizer(spec.tokenizer, async (file) => preparation.files[file]!), () => ({
        name: 'tokens',
        dtype: 'INT32',
      }));
      expect(read.flatMap(({ input }) => input)).toEqual([...(served.get('tokens')!.data as Int32Array)]);
      const { vocabularySize = 0 } = preparation.inputs[0]!;
      const largest = read.reduce((most, { input }) => Math.max(most, ...input), 0);
      expect(largest).toBeLessThan(vocabularySize);
      expect(vocabularySize).toBeLessThanOrEqual(502);
      // Made once.
      await (await dataset.open(preparation, { onProgress: () => expect.unreachable() })).close();
      expect(await readdir(join(folder, 'derived'))).toHaveLength(1);
    },
  );

  it('learns the vocabulary and the length from the training rows alone', async () => {
    const rows = [
      ['alpha beta', 'x', 'train'],
      ['beta gamma gamma', 'y', 'train'],
      ['', 'y', 'train'],
      ['delta delta delta delta delta', 'x', 'test'],
    ];
    const { folder } = await ingestFiles(
      { 'a.csv': `words,label,split\n${rows.map((row) => row.join(',')).join('\n')}\n` },
      { types: { words: 'text' } },
    );
    const dataset = openDataset(folder);
    const preparation = await dataset.prepare({ target: 'label', split: { column: 'split', validation: 0 } });
    expect(preparation.preprocessing).toMatchObject({
      kind: 'text',
      maxLength: 3,
      tokenizer: { kind: 'words', vocabulary: ['beta', 'gamma', 'alpha'] },
    });
    const examples = await dataset.open(preparation);
    expect((await readExamples(examples, { split: 'train', batchSize: 3 })).map(({ input }) => input)).toEqual([
      [4, 2, 0],
      [2, 3, 3],
      [0, 0, 0],
    ]);
    expect((await readExamples(examples, { split: 'test', batchSize: 1 }))[0]!.input).toEqual([1, 1, 1]);
    await examples.close();
  });

  it('asks which text is meant, and takes the one that is named', async () => {
    const { folder } = await ingestFiles(
      { 'a.jsonl': '{"a":"x y","b":"y x","c":"k"}\n{"a":"z","b":"w","c":"l"}\n' },
      { types: { a: 'text', b: 'text' } },
    );
    const dataset = openDataset(folder);
    await expect(dataset.prepare({ target: 'c' })).rejects.toMatchObject({
      code: 'UNSUITABLE_DATA',
      message: expect.stringContaining('"a" and "b"'),
    });
    await expect(dataset.prepare({ target: 'c', features: ['a', 'b'] })).rejects.toMatchObject({ code: 'UNSUITABLE_DATA' });
    expect(await dataset.prepare({ target: 'c', features: ['b'], split: { validation: 0, test: 0 } })).toMatchObject({ features: ['b'] });
  });
});

describe('preparing texts to be continued', () => {
  /** The text of a split, put together again from its windows. */
  async function textOf(preparation: Preparation, folder: string, split: Split): Promise<string> {
    const examples = await openDataset(folder).open(preparation);
    const read = await readExamples(examples, { split, batchSize: 50 });
    await examples.close();
    expect(read).toHaveLength(preparation.rows[split]);
    const { tokenizer, endOfText } = preparation.preprocessing as TextPreprocessing;
    const { vocabulary } = tokenizer as { vocabulary: string[] };
    let text = '';
    let last: number | undefined;
    for (const { input, target } of read) {
      // What follows each token is the next one, also from window to window.
      expect(target.slice(0, -1)).toEqual(input.slice(1));
      if (last !== undefined) expect(input[0]).toBe(last);
      last = target.at(-1);
      text += input.map((id) => (id === endOfText ? '\0' : id === 1 ? '\u0001' : vocabulary[id - 2]!)).join('');
    }
    return text;
  }

  it('cuts the texts of each split into windows that join to the texts again', async () => {
    const lines = (await data('moby-dick.jsonl')).toString().split('\n').slice(0, 16);
    const { folder } = await ingestFiles({ 'moby-dick.jsonl': lines.join('\n') });
    const preparation = await openDataset(folder).prepare({
      task: 'next-token',
      split: { order: 'ordered', validation: 0.125, test: 0.125 },
    });
    expect(preparation).toMatchObject({
      features: ['text'],
      inputs: [{ name: 'tokens', dtype: 'INT32', shape: [64] }],
      unusedColumns: [{ name: 'chapter' }],
    });
    const { vocabularySize } = preparation.inputs[0]!;
    expect(preparation.target).toEqual({ kind: 'token', vocabularySize });
    const chapters = (await readRecords(folder)).map(([, text]) => `${text as string}\0`);
    const parts: Record<Split, string> = {
      train: chapters.slice(0, 12).join(''),
      validation: chapters.slice(12, 14).join(''),
      test: chapters.slice(14).join(''),
    };
    const known = new Set(Array.from(parts.train));
    for (const split of ['train', 'validation', 'test'] as const) {
      const whole = Array.from(parts[split], (letter) => (known.has(letter) ? letter : '\u0001')).join('');
      const text = await textOf(saved(preparation), folder, split);
      expect(text.length).toBeGreaterThan(whole.length - 65);
      expect(whole.startsWith(text)).toBe(true);
    }
  });

  it.each<[what: string, lines: string, message: RegExp]>([
    ['no text', '{"a":1}\n{"a":2}\n', /no text/],
    ['texts that are too short', '{"a":"short"}\n{"a":"tiny"}\n', /fewer than 64 tokens/],
  ])('refuses %s', async (_what, lines, message) => {
    const { folder } = await ingestFiles({ 'a.jsonl': lines });
    const error = (await openDataset(folder)
      .prepare({ task: 'next-token' })
      .catch((thrown: unknown) => thrown)) as { code: string; message: string };
    expect(error.code).toBe('UNSUITABLE_DATA');
    expect(error.message).toMatch(message);
  });
});
