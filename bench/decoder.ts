/*
 * A small transformer decoder on the letters of a novel, trained as a job trains it: after each epoch its loss on chapters that
 * training never saw, beside that of a model that counts which letter followed which one.
 * Run: node bench/decoder.ts [epochs=3] [threads=2]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ingest } from '../src/datasets/ingest/ingest.ts';
import { openDataset } from '../src/datasets/open-dataset.ts';
import { trainerOf } from '../src/jobs/child/train/choose-trainer.ts';
import { openTeacher } from '../src/jobs/child/train/open-teacher.ts';
import { runTraining } from '../src/jobs/training/run-training.ts';
import { trainSpecSchema } from '../src/jobs/training/spec.ts';
import { preparationRequestOf } from '../src/jobs/training/trainer-spec.ts';
import { bigramLoss } from './lib/bigram.ts';
import { INGEST_LIMITS } from './lib/ingest-limits.ts';

const [epochs, threads] = [Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 2)];
const spec = trainSpecSchema.parse({
  dataset: 'novel',
  task: 'next-token',
  architecture: { kind: 'transformer-decoder' },
  split: { order: 'ordered' },
  optimizer: { kind: 'adam', learningRate: 0.003 },
  schedule: { kind: 'cosine' },
  epochs,
  seed: 1,
});

const root = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
try {
  const [datasetFolder, folder] = [join(root, 'dataset'), join(root, 'job')];
  for (const each of [datasetFolder, folder]) mkdirSync(each);
  const path = fileURLToPath(new URL('../examples/data/moby-dick.jsonl', import.meta.url));
  await ingest({
    id: 'novel',
    name: 'novel',
    createdAt: new Date(0).toISOString(),
    files: [{ path, name: 'moby-dick.jsonl' }],
    folder: datasetFolder,
    options: {},
    limits: INGEST_LIMITS,
  });
  const dataset = openDataset(datasetFolder);
  const preparation = await dataset.prepare(preparationRequestOf(spec));
  const examples = await dataset.open(preparation);
  const counted = { validation: await bigramLoss(examples, 'validation'), test: await bigramLoss(examples, 'test') };
  await examples.close();
  const { rows, inputs } = preparation;
  const [{ vocabularySize = 0, shape }] = inputs as [(typeof inputs)[number]];
  const tokens = rows.train * shape[0]!;
  console.log(`${tokens} letters to train on, ${vocabularySize} different ones, windows of ${shape[0]}; ${threads} threads`);
  console.log(`counts of pairs: ${counted.validation.toFixed(3)} on the validation text, ${counted.test.toFixed(3)} on the test text`);
  let since = performance.now();
  const result = await runTraining(
    {
      jobId: 'bench',
      spec,
      datasetFolder,
      parentFolder: undefined,
      teacherFolder: undefined,
      folder,
      checkpointMs: 1e9,
      threads,
      version: '0',
    },
    { createTrainer: trainerOf('auto', threads), openTeacher },
    {
      prepared: (_preparation, { parameters, engine }) => console.log(`transformer decoder of ${parameters} weights, ${engine}`),
      progress() {},
      epoch({ epoch, metrics }) {
        const seconds = (performance.now() - since) / 1_000;
        const loss = metrics['validation-loss']!;
        const below = ((1 - loss / counted.validation) * 100).toFixed(1);
        console.log(
          `  epoch ${epoch}: ${loss.toFixed(3)}, ${below} % below the counts; ${seconds.toFixed(0)} s, ${Math.round(tokens / seconds)} letters/s`,
        );
        since = performance.now();
      },
    },
    new AbortController().signal,
  );
  const loss = result.metrics['loss']!;
  console.log(
    `on the test text: loss ${loss.toFixed(3)}, perplexity ${result.metrics['perplexity']!.toFixed(2)}; counts ${counted.test.toFixed(3)}, ${Math.exp(counted.test).toFixed(2)}; ratio of the losses ${(loss / counted.test).toFixed(3)}`,
  );
} finally {
  rmSync(root, { recursive: true, force: true });
}
