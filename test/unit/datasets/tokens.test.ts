import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/datasets/open-dataset.ts';
import { ingestFiles, readExamples, saved } from '../../helpers/datasets.ts';

const ROWS = [
  { words: ['Call', 'me', 'Ishmael'], tags: ['verb', 'pronoun', 'name'] },
  { words: ['Ishmael', 'waited'], tags: ['name', 'verb'] },
  { words: ['who', 'waited'], tags: ['pronoun', 'verb'] },
];
const linesOf = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
const NO_SPLIT = { validation: 0, test: 0, order: 'ordered' } as const;

describe('columns of tokens', () => {
  it('come from lists in JSON Lines and from cells that are split, to the same examples', async () => {
    const csv = `words,tags\n${ROWS.map(({ words, tags }) => `${words.join(' ')},  ${tags.join('  ')} `).join('\n')}\n`;
    const lists = await ingestFiles({ 'a.jsonl': linesOf(ROWS) });
    const cells = await ingestFiles({ 'a.csv': csv }, { types: { words: 'tokens', tags: 'tokens' } });
    expect(lists.description.columns).toEqual([
      expect.objectContaining({ name: 'words', type: 'tokens', missing: 0, longest: 3 }),
      {
        name: 'tags',
        type: 'tokens',
        missing: 0,
        longest: 3,
        values: [
          { value: 'verb', count: 3 },
          { value: 'name', count: 2 },
          { value: 'pronoun', count: 2 },
        ],
      },
    ]);
    expect(cells.description.columns).toEqual(lists.description.columns);
    expect(cells.description.preview).toEqual(ROWS);
    const read = await Promise.all(
      [lists, cells].map(async ({ folder }) => {
        const dataset = openDataset(folder);
        const preparation = await dataset.prepare({ target: 'tags', split: NO_SPLIT });
        expect(preparation).toMatchObject({
          inputs: [{ shape: [3], vocabularySize: 7 }],
          target: { kind: 'tags', column: 'tags', labels: ['name', 'pronoun', 'verb'], counts: [2, 2, 3] },
          preprocessing: { column: 'words', tokenizer: { kind: 'list', vocabulary: ['Ishmael', 'waited', 'Call', 'me', 'who'] } },
        });
        const examples = await dataset.open(saved(preparation));
        const all = await readExamples(examples, { split: 'train', batchSize: 2 });
        await examples.close();
        return all;
      }),
    );
    // 0 fills up the tokens and −1 their labels.
    expect(read[0]).toEqual([
      { input: [4, 5, 2], target: [2, 1, 0] },
      { input: [2, 3, 0], target: [0, 2, -1] },
      { input: [6, 3, 0], target: [1, 2, -1] },
    ]);
    expect(read[1]).toEqual(read[0]);
  });

  it('are no labels when there are more different ones than are kept', async () => {
    const { description, folder } = await ingestFiles({ 'a.jsonl': linesOf(ROWS) }, {}, { maxCategories: 2 });
    expect(description.columns.map(({ values }) => values)).toEqual([undefined, undefined]);
    await expect(openDataset(folder).prepare({ target: 'tags' })).rejects.toMatchObject({
      code: 'UNSUITABLE_DATA',
      message: 'The target "tags" has too many different tokens to be labels.',
    });
  });

  it('are cut to the length that is asked for, the labels with them', async () => {
    const { folder } = await ingestFiles({ 'a.jsonl': linesOf(ROWS) });
    const dataset = openDataset(folder);
    const examples = await dataset.open(await dataset.prepare({ target: 'tags', text: { maxLength: 2 }, split: NO_SPLIT }));
    const [first] = await readExamples(examples, { split: 'train', batchSize: 3 });
    await examples.close();
    expect(first).toEqual({ input: [4, 5], target: [2, 1] });
  });

  it('are a text like others for a class of the row', async () => {
    const { folder } = await ingestFiles({ 'a.jsonl': linesOf(ROWS.map((row, index) => ({ words: row.words, odd: index === 1 }))) });
    const preparation = await openDataset(folder).prepare({ target: 'odd', split: NO_SPLIT });
    expect(preparation).toMatchObject({ target: { kind: 'class' }, preprocessing: { kind: 'text', tokenizer: { kind: 'list' } } });
  });

  it('leave out rows that are no lists of texts, and those without labels are in no split', async () => {
    const bad = [
      { words: 'Call', tags: ['verb'] },
      { words: ['Call', 3], tags: ['verb', 'name'] },
    ];
    const { description, folder } = await ingestFiles(
      { 'a.jsonl': linesOf([...ROWS, ...bad, { words: [], tags: [] }]) },
      { maxSkipped: 2 },
    );
    expect(description.rows).toBe(4);
    expect(description.skipped.first.map(({ place, reason }) => `${place} ${reason}`)).toEqual([
      'line 4 "words" is a single value, but a list of texts in other rows',
      'line 5 "words" is a list of texts, but element 1 is 3',
    ]);
    const preparation = await openDataset(folder).prepare({ target: 'tags', split: NO_SPLIT });
    expect(preparation).toMatchObject({ rows: { train: 3 }, unusedRows: 1 });
  });
});
