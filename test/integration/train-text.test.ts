import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { trained } from '../helpers/train-jobs.ts';

const data = (name: string): Promise<Buffer> => readFile(new URL(`../../examples/data/${name}`, import.meta.url));
const wordpiece = await readFile(new URL('../fixtures/tokenizers/wordpiece.json', import.meta.url), 'utf8');

interface Predicted {
  readonly predictions: readonly { readonly label: string; readonly probability: number }[];
}

async function predict(address: string, model: string, inputs: unknown): Promise<Predicted> {
  const response = await post(address, '/predict', JSON.stringify({ model, inputs }));
  const body = await response.text();
  expect(response.status, body).toBe(200);
  return JSON.parse(body) as Predicted;
}

const SENTENCES = {
  German: 'Alle Menschen sind frei und gleich an Würde und Rechten geboren.',
  English: 'All human beings are born free and equal in dignity and rights.',
  Spanish: 'Todos los seres humanos nacen libres e iguales en dignidad y derechos.',
};

describe('training on texts', () => {
  it('gives a version that takes texts and answers with their class, whatever the tokenizer and the family', async () => {
    const { address } = await runningServer([]);
    expect((await post(address, '/datasets?name=languages', await data('languages.csv'), 'text/csv')).status).toBe(201);
    const train = (model: string, spec: object) =>
      trained(address, { dataset: 'languages', target: 'language', seed: 1, publish: { model }, ...spec });

    const encoder = await train('encoder', { architecture: { kind: 'transformer-encoder' }, text: { maxLength: 32 }, epochs: 4 });
    expect(encoder).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu', published: { model: 'encoder', version: 1 } } });
    expect(encoder.metrics['accuracy']).toBeGreaterThanOrEqual(0.9);
    for (const [language, text] of Object.entries(SENTENCES)) {
      const [row] = (await predict(address, 'encoder', [{ text }])).predictions;
      expect(row).toMatchObject({ label: language });
      expect((await predict(address, 'encoder', text)).predictions).toEqual([row]);
    }
    // Served from ONNX Runtime, held to tfjs when it was compiled.
    expect(await (await fetch(`${address}/models/encoder/versions/1`)).json()).toMatchObject({ engine: 'onnx' });

    const bag = await train('bag', {
      architecture: { kind: 'linear', embedding: 16 },
      optimizer: { kind: 'adam', learningRate: 0.02 },
      text: { tokenizer: { json: JSON.parse(wordpiece) as object }, maxLength: 40 },
      epochs: 6,
    });
    expect(bag).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu' } });
    expect(bag.metrics['accuracy']).toBeGreaterThanOrEqual(0.9);
    expect((await predict(address, 'bag', Object.values(SENTENCES))).predictions.map(({ label }) => label)).toEqual(Object.keys(SENTENCES));

    const letters = await train('letters', {
      architecture: { kind: 'gru', units: 8, embedding: 4 },
      text: { tokenizer: 'characters', maxLength: 12 },
      epochs: 1,
    });
    expect(letters).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu' } });
    expect((await predict(address, 'letters', [{ text: 'menneske' }, { text: '' }])).predictions).toHaveLength(2);
  });

  it('names the column that a row lacks, or has too much', async () => {
    const { address } = await runningServer([]);
    const rows = 'review,label\ngood film,1\nbad film,0\ngood plot,1\nbad plot,0\n';
    expect((await post(address, '/datasets?name=films&types={"review":"text"}', rows, 'text/csv')).status).toBe(201);
    const job = await trained(address, {
      dataset: 'films',
      task: 'classification',
      architecture: { kind: 'linear' },
      split: { validation: 0, test: 0 },
      publish: { model: 'films' },
    });
    expect(job).toMatchObject({ state: 'succeeded', spec: { target: 'label' } });
    const failure = async (inputs: unknown) => failureOf(await post(address, '/predict', JSON.stringify({ model: 'films', inputs })));
    expect(await failure([{ review: 'good' }, {}])).toMatchObject({ code: 'INVALID_ROW', message: 'inputs[1].review is missing.' });
    expect(await failure([{ review: 3 }])).toMatchObject({ code: 'INVALID_ROW', message: 'inputs[0].review must be a text.' });
    expect(await failure([{ review: 'good', stars: 5 }])).toMatchObject({
      code: 'INVALID_ROW',
      message: 'inputs[0].stars is no column of the model, which has "review".',
    });
  });
});
