import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bigramLoss } from '../../bench/lib/bigram.ts';
import { openDataset } from '../../src/datasets/open-dataset.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { trained } from '../helpers/train-jobs.ts';

const data = (name: string): Promise<Buffer> => readFile(new URL(`../../examples/data/${name}`, import.meta.url));
const wordpiece = await readFile(new URL('../fixtures/tokenizers/wordpiece.json', import.meta.url), 'utf8');
const bytePairs = await readFile(new URL('../fixtures/tokenizers/byte-pairs.json', import.meta.url), 'utf8');

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

/** The first chapters of a novel, as many as are learned from in seconds. */
async function chapters(): Promise<string> {
  return (await data('moby-dick.jsonl')).toString().split('\n').slice(0, 6).join('\n');
}

describe('training to continue texts', () => {
  it('gives a version that tells the next letter better than counts of pairs do, and that can be trained further', async () => {
    const { address, state } = await runningServer([]);
    const posted = await post(address, '/datasets?name=novel', await chapters(), 'application/x-ndjson');
    const { id } = (await posted.json()) as { id: string };
    const split = { order: 'ordered', validation: 0, test: 0.34 } as const;
    const spec = {
      dataset: 'novel',
      task: 'next-token',
      architecture: { kind: 'transformer-decoder', layers: 1, width: 32 },
      text: { maxLength: 16 },
      batchSize: 16,
      split,
      optimizer: { kind: 'adam', learningRate: 0.01 },
      epochs: 3,
      seed: 1,
      publish: { model: 'novel', if: { metric: 'perplexity', atMost: 12 } },
    };
    const job = await trained(address, spec);
    expect(job).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu', published: { version: 1 }, measuredOn: 'test' } });
    expect(job.result).not.toHaveProperty('confusion');
    const { loss, perplexity } = job.metrics;
    expect(perplexity).toBeCloseTo(Math.exp(loss!), 6);

    const dataset = openDataset(join(state, 'datasets', id));
    const examples = await dataset.open(await dataset.prepare({ task: 'next-token', text: { maxLength: 16 }, split }));
    const counted = await bigramLoss(examples, 'test');
    await examples.close();
    expect(counted).toBeGreaterThan(2.3);
    expect(loss).toBeLessThan(counted - 0.05);

    const next = async (text: string) => (await predict(address, 'novel', [{ text }])).predictions[0]!;
    expect(await next('of the sea, and the q')).toMatchObject({ label: 'u' });
    expect(await next('towards the whale-s')).toHaveProperty('top.19');
    // Of a text longer than the window the end counts; an empty one is the beginning of a text.
    expect(await next(`${'x'.repeat(100)} and all of us went on board the q`)).toEqual(await next(' and all of us went on board the q'));
    expect((await next('')).probability).toBeGreaterThan(0);
    const { outputs } = (await (await post(address, '/predict', JSON.stringify({ model: 'novel', inputs: 'the' }))).json()) as {
      outputs: { probabilities: number[][] };
    };
    expect(outputs.probabilities[0]!.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 4);

    const { text: _said, ...further } = spec;
    const again = await trained(address, { ...further, architecture: { kind: 'version', model: 'novel' }, epochs: 1 });
    expect(again).toMatchObject({ state: 'succeeded', result: { published: { version: 2 } } });
    expect(again.metrics['loss']).toBeLessThan(loss!);
  });

  it('trains recurrent layers to continue words, with a vocabulary that is trained or given', async () => {
    const { address } = await runningServer([]);
    expect((await post(address, '/datasets?name=novel', await chapters(), 'application/x-ndjson')).status).toBe(201);
    const job = await trained(address, {
      dataset: 'novel',
      task: 'next-token',
      features: ['text'],
      architecture: { kind: 'gru', units: 16, embedding: 16 },
      text: { tokenizer: 'words', vocabularySize: 300, maxLength: 12 },
      optimizer: { kind: 'adam', learningRate: 0.01 },
      epochs: 1,
      publish: { model: 'novel' },
    });
    expect(job).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu', published: { version: 1 } } });
    const pairs = await trained(address, {
      dataset: 'novel',
      task: 'next-token',
      features: ['text'],
      architecture: { kind: 'rnn', units: 16, embedding: 16 },
      text: { tokenizer: { json: bytePairs }, maxLength: 16 },
      epochs: 1,
      publish: { model: 'pairs' },
    });
    expect(pairs).toMatchObject({ state: 'succeeded', result: { published: { version: 1 } } });
    expect((await predict(address, 'pairs', 'It was a')).predictions[0]!.label).toBeTypeOf('string');
    // Less than of a model that takes all tokens to be as likely.
    expect(job.metrics['perplexity']).toBeLessThan(200);
    expect((await predict(address, 'novel', 'It was a')).predictions[0]!.label).toBeTypeOf('string');
  });

  it('refuses before the queue what cannot be', async () => {
    const { address } = await runningServer([]);
    expect((await post(address, '/datasets?name=novel', await chapters(), 'application/x-ndjson')).status).toBe(201);
    const refusals: readonly (readonly [what: string, spec: object, code: string, message: string])[] = [
      ['a target', { target: 'chapter' }, 'UNSUITABLE_DATA', 'The task next-token has no target column, but "chapter" is named.'],
      [
        'a family that sees what is to come',
        { architecture: { kind: 'transformer-encoder' } },
        'INVALID_ARCHITECTURE',
        'transformer-encoder cannot continue texts; rnn, lstm, gru, transformer-decoder can, for there each step sees those before it alone.',
      ],
      [
        'a tokenizer that is none',
        { text: { tokenizer: { json: { words: [] } } } },
        'INVALID_REQUEST',
        'text.tokenizer.json is no tokenizer that can be read',
      ],
      ['class weights', { classWeights: 'balanced' }, 'UNSUITABLE_DATA', 'classWeights are for classes; the task next-token has none.'],
      [
        'a metric of classes',
        { publish: { model: 'm', if: { metric: 'f1', atLeast: 1 } } },
        'UNSUITABLE_DATA',
        'The metric "f1" is not measured of tokens; there are loss, accuracy, perplexity.',
      ],
      [
        'a feature that is no text',
        { features: ['chapter'] },
        'UNSUITABLE_DATA',
        'The task next-token needs a text; "chapter" is of the type integer.',
      ],
      [
        'heads that do not divide the width',
        { architecture: { kind: 'transformer-decoder', width: 10 } },
        'INVALID_REQUEST',
        'architecture: width must be a multiple of heads',
      ],
    ];
    for (const [what, spec, code, message] of refusals) {
      const whole = { dataset: 'novel', task: 'next-token', architecture: { kind: 'transformer-decoder' }, ...spec };
      const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify(whole)));
      expect(failure, what).toMatchObject({ code, message: expect.stringContaining(message) });
    }
  });
});

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
    expect(await (await fetch(`${address}/models/bag/versions/1/lineage`)).json()).toMatchObject({
      lineage: { spec: { text: { tokenizer: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } } } },
    });
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
