import { describe, expect, it } from 'vitest';
import { failureOf, post } from '../helpers/http.ts';
import { jobsClient } from '../helpers/jobs.ts';
import { runningServer } from '../helpers/running-server.ts';
import { type TaggedSentence, taggedSentences } from '../helpers/tagged-sentences.ts';
import { trained } from '../helpers/train-jobs.ts';

interface TokenPrediction {
  readonly token?: string;
  readonly label: string;
  readonly probability: number;
  readonly top: readonly unknown[];
}

const sentences = await taggedSentences(6);
const lines = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join('\n');

async function upload(address: string, name: string, rows: readonly object[]): Promise<Response> {
  return post(address, `/datasets?name=${name}`, lines(rows), 'application/x-ndjson');
}

function ask(address: string, model: string, inputs: unknown): Promise<Response> {
  return post(address, '/predict', JSON.stringify({ model, inputs }));
}

async function labels(address: string, model: string, inputs: unknown): Promise<TokenPrediction[][]> {
  const response = await ask(address, model, inputs);
  const body = await response.text();
  expect(response.status, body).toBe(200);
  return (JSON.parse(body) as { predictions: TokenPrediction[][] }).predictions;
}

/** How many tokens have the label that most have. */
function mostFrequentShare(rows: readonly TaggedSentence[]): number {
  const counts = new Map<string, number>();
  let total = 0;
  for (const label of rows.flatMap(({ written }) => written)) {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    total += 1;
  }
  return Math.max(...counts.values()) / total;
}

const SPEC = {
  dataset: 'sentences',
  target: 'written',
  architecture: { kind: 'transformer-encoder', width: 32, heads: 2, layers: 1 },
  optimizer: { kind: 'adam', learningRate: 0.005 },
  epochs: 4,
  batchSize: 16,
  seed: 1,
} as const;

describe('training to label tokens', () => {
  it('gives a version that answers with a label for each token of a text', async () => {
    const { address } = await runningServer([]);
    const posted = await upload(address, 'sentences', sentences);
    expect(posted.status).toBe(201);
    const tokens = sentences.reduce((sum, { words }) => sum + words.length, 0);
    expect(await posted.json()).toMatchObject({
      columns: [
        { name: 'words', type: 'tokens', missing: 0, longest: 16 },
        { name: 'written', type: 'tokens', longest: 16, values: expect.arrayContaining([{ value: 'comma', count: expect.any(Number) }]) },
      ],
    });
    const job = await trained(address, { ...SPEC, publish: { model: 'writer', if: { metric: 'f1', atLeast: 0.1 } } });
    expect(job).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu', published: { version: 1 }, measuredOn: 'test' } });
    const { confusion } = job.result as { confusion: { labels: string[]; counts: number[][] } };
    const measured = confusion.counts.flat().reduce((sum, count) => sum + count, 0);
    // Every token of the test rows counts once, and nothing that fills them up.
    expect(measured).toBeGreaterThan(0.05 * tokens);
    expect(measured).toBeLessThan(0.15 * tokens);
    expect(job.metrics['accuracy']).toBeGreaterThan(mostFrequentShare(sentences) + 0.05);

    const words = ['it', 'was', 'a', 'dark', 'night', 'in', 'new', 'bedford'];
    const [said] = await labels(address, 'writer', [{ words }]);
    expect(said!.map(({ token }) => token)).toEqual(words);
    expect(said![0]).toMatchObject({ label: 'capital', probability: expect.any(Number), top: { length: 3 } });
    expect(said![2]).toMatchObject({ label: 'plain' });
    // A list, a text that is split at white space, and several of different lengths are the same to it.
    expect(await labels(address, 'writer', [words])).toEqual([said]);
    expect(await labels(address, 'writer', words.join(' '))).toEqual([said]);
    const several = await labels(address, 'writer', [words, ['call', 'me', 'ishmael'], []]);
    expect(several.map(({ length }) => length)).toEqual([8, 3, 0]);
    expect(several[0]!.map(({ label }) => label)).toEqual(said!.map(({ label }) => label));

    const tooLong = await failureOf(await ask(address, 'writer', [words, Array(17).fill('whale')]));
    expect(tooLong).toMatchObject({
      code: 'INVALID_ROW',
      message: 'inputs[1] has 17 tokens; the model labels at most 16, so send the text in parts.',
    });
    expect(await failureOf(await ask(address, 'writer', [{ words: [1] }]))).toMatchObject({
      code: 'INVALID_ROW',
      message: 'inputs[0].words must be a text or a list of texts.',
    });

    // Jobs that optimize compare classes of rows.
    const optimize = { model: 'writer', techniques: [{ kind: 'weights-float16' }], data: { dataset: 'sentences', target: 'written' } };
    expect(await failureOf(await post(address, '/optimize-jobs', JSON.stringify(optimize)))).toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'writer/1 labels the tokens of texts; what is measured here is one class for each row.',
    });

    const again = await trained(address, {
      ...SPEC,
      architecture: { kind: 'version', model: 'writer' },
      optimizer: { kind: 'adam', learningRate: 1e-5 },
      epochs: 1,
      publish: { model: 'writer' },
    });
    expect(again).toMatchObject({ state: 'succeeded', result: { published: { version: 2 } } });
    // Steps so small leave what it has learned.
    expect(again.metrics['accuracy']).toBeCloseTo(job.metrics['accuracy']!, 1);
  });

  it('trains every family that reads texts, with weights for rare labels and in parts of a batch', async () => {
    const { address } = await runningServer([]);
    expect((await upload(address, 'sentences', sentences.slice(0, 120))).status).toBe(201);
    const settings = { epochs: 1, split: { validation: 0, test: 0 } };
    for (const architecture of [
      { kind: 'gru', units: 8, embedding: 8 },
      { kind: 'linear', embedding: 8 },
      { kind: 'transformer-decoder', width: 8, heads: 2, layers: 1 },
    ]) {
      const job = await trained(address, { ...SPEC, ...settings, architecture, classWeights: 'balanced', microBatches: 3 });
      expect(job, architecture.kind).toMatchObject({ state: 'succeeded', result: { engine: 'onnx cpu' } });
    }
  });

  // So many that the job is far from its end when it is killed.
  it.each([
    ['onnx', 40],
    ['tfjs', 8],
  ])('goes on when its process is killed, to the same weights and metrics, with the engine %s', async (engine, epochs) => {
    const { address } = await runningServer([], { jobs: { checkpointMs: 0 } });
    expect((await upload(address, 'sentences', sentences.slice(0, 80))).status).toBe(201);
    const { submit, eventsOf, eventFrom, describe: describeJob } = jobsClient(address, '/train-jobs');
    const architecture = { ...SPEC.architecture, width: 8, dropout: 0.2 };
    const spec = { ...SPEC, engine, architecture, epochs, split: { validation: 0.2, test: 0.2 } };
    const whole = (await submit(spec)).id;
    await eventsOf(whole);
    const { id } = await submit(spec);
    await eventFrom(id, ({ type, data }) => type === 'epoch' && data['epoch'] === 1);
    const { data } = await eventFrom(id, ({ type }) => type === 'process');
    process.kill(data['pid'] as number, 'SIGKILL');
    await eventsOf(id);
    const [job, expected] = [await describeJob(id), await describeJob(whole)];
    expect(expected.state).toBe('succeeded');
    expect(job).toMatchObject({ state: 'succeeded', attempts: 2, metrics: expected.metrics });
    const { weightsDigest, confusion } = expected.result as { weightsDigest: string; confusion: unknown };
    expect(job.result).toMatchObject({ weightsDigest, confusion });
  });

  it('refuses before the queue what cannot be', async () => {
    const { address } = await runningServer([]);
    const rows = sentences.slice(0, 50).map((row, index) => ({ ...row, kind: index % 2 === 0 ? 'even' : 'odd' }));
    expect((await upload(address, 'sentences', rows)).status).toBe(201);
    const uneven = rows.map((row, index) => (index === 7 ? { ...row, words: row.words.slice(1) } : row));
    expect((await upload(address, 'uneven', uneven)).status).toBe(201);
    const refusals: readonly (readonly [what: string, spec: object, code: string, message: string])[] = [
      [
        'rows with other numbers of tokens and labels',
        { dataset: 'uneven' },
        'UNSUITABLE_DATA',
        'In some row "words" has not as many tokens as "written" has labels; each token needs one.',
      ],
      [
        'a target that is no list',
        { target: 'kind', task: 'token-classification' },
        'UNSUITABLE_DATA',
        'The task token-classification needs a target with a list of labels; "kind" is of the type category.',
      ],
      [
        'another task',
        { task: 'classification' },
        'UNSUITABLE_DATA',
        'The target "written" has a list of labels in each row, which is for the task token-classification.',
      ],
      [
        'a feature that is no list',
        { features: ['kind'] },
        'UNSUITABLE_DATA',
        'The target "written" has a label for each token, so the feature must be a list of tokens; "kind" is of the type category.',
      ],
      [
        'another tokenizer',
        { text: { tokenizer: 'characters' } },
        'UNSUITABLE_DATA',
        '"words" is a list of tokens already; leave out text.tokenizer.',
      ],
      ['a family for images', { architecture: { kind: 'lenet5' } }, 'INVALID_ARCHITECTURE', 'lenet5 is for images'],
      [
        'layers that give one label for all',
        {
          text: { maxLength: 16 },
          architecture: {
            kind: 'layers',
            layers: [
              { class_name: 'Embedding', config: { output_dim: 4 } },
              { class_name: 'GlobalAveragePooling1D' },
              { class_name: 'Dense', config: { units: 6, activation: 'softmax' } },
            ],
          },
        },
        'INVALID_ARCHITECTURE',
        'labels for each token',
      ],
      [
        'a metric of numbers',
        { publish: { model: 'm', if: { metric: 'rmse', atMost: 1 } } },
        'UNSUITABLE_DATA',
        'The metric "rmse" is not measured of labels; there are loss, accuracy, precision, recall, f1.',
      ],
      [
        'a label that is none',
        { classWeights: { verb: 2 } },
        'UNSUITABLE_DATA',
        'classWeights names "verb", which is no class of "written"',
      ],
    ];
    for (const [what, spec, code, message] of refusals) {
      const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify({ ...SPEC, ...spec })));
      expect(failure, what).toMatchObject({ code, message: expect.stringContaining(message) });
    }
  });
});
