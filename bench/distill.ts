/*
 * Whether small networks that learn from the bundled LeNet do better than such that learn from the right classes alone: the
 * accuracy on digits that neither has seen, for all training rows and for a few of them, over several seeds. Trained as jobs train.
 * Run: node bench/distill.ts [seeds=3] [epochs=25]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digits, encodeIdx, loadDigits, PIXELS } from '../scripts/digits/dataset.ts';
import { ingest } from '../src/datasets/ingest/ingest.ts';
import { createRandom, shuffled } from '../src/datasets/random.ts';
import { trainerOf } from '../src/jobs/child/train/choose-trainer.ts';
import { openTeacher } from '../src/jobs/child/train/open-teacher.ts';
import { runTraining } from '../src/jobs/training/run-training.ts';
import { trainSpecSchema } from '../src/jobs/training/spec.ts';
import { ROOT } from './lib/digits.ts';
import { INGEST_LIMITS } from './lib/ingest-limits.ts';

const [seeds, epochs] = [Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 25)];
/** The split of the bundled model's training: what it was trained on is trained on here, too. */
const SPLIT_SEED = 1;
/** Neurons of the hidden layer. */
const STUDENTS = [16, 64];
const TEACHERS = [undefined, { temperature: 1, weight: 0.5 }, { temperature: 2, weight: 0.5 }, { temperature: 4, weight: 0.5 }];

const root = mkdtempSync(join(tmpdir(), 'slipway-bench-'));

function drawn({ images, labels }: Digits, count: number): Digits {
  const rows = [...shuffled(labels.length, createRandom(7))].slice(0, count);
  const pixels = new Uint8Array(rows.length * PIXELS);
  for (const [at, row] of rows.entries()) pixels.set(images.subarray(row * PIXELS, (row + 1) * PIXELS), at * PIXELS);
  return { images: pixels, labels: Uint8Array.from(rows, (row) => labels[row]!) };
}

async function datasetOf(train: Digits, test: Digits): Promise<string> {
  const folder = mkdtempSync(join(root, 'dataset-'));
  const files = Object.entries({ ...encodeIdx('train', train), ...encodeIdx('t10k', test) }).map(([name, content]) => {
    const path = join(root, name);
    writeFileSync(path, content);
    return { path, name };
  });
  const createdAt = new Date(0).toISOString();
  await ingest({ id: 'digits', name: 'digits', createdAt, files, folder, options: {}, limits: INGEST_LIMITS });
  return folder;
}

async function accuracyOf(datasetFolder: string, neurons: number, teacher: (typeof TEACHERS)[number], seed: number): Promise<number> {
  const spec = trainSpecSchema.parse({
    dataset: 'digits',
    target: 'label',
    architecture: { kind: 'mlp', hidden: [neurons] },
    ...(teacher && { teacher: { model: 'digits', version: 1, ...teacher } }),
    split: { validation: 0 },
    optimizer: { kind: 'adam', learningRate: 0.002 },
    schedule: { kind: 'cosine' },
    epochs,
    seed,
  });
  const folder = mkdtempSync(join(root, 'job-'));
  const { metrics } = await runTraining(
    {
      jobId: 'bench',
      spec,
      datasetFolder,
      parentFolder: undefined,
      teacherFolder: teacher && join(ROOT, 'models/digits/1'),
      folder,
      checkpointMs: 1e9,
      threads: 1,
      version: '0',
    },
    { createTrainer: trainerOf('onnx', 1), openTeacher },
    { prepared() {}, progress() {}, epoch() {} },
    new AbortController().signal,
  );
  return metrics['accuracy']!;
}

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

try {
  const { train, test } = loadDigits(SPLIT_SEED);
  console.log(`${epochs} epochs, ${seeds} seeds; ${test.labels.length} digits measure`);
  for (const rows of [train.labels.length, 1_000]) {
    const folder = await datasetOf(drawn(train, rows), test);
    for (const neurons of STUDENTS) {
      const alone: number[] = [];
      for (const teacher of TEACHERS) {
        const found: number[] = [];
        for (let seed = 1; seed <= seeds; seed += 1) found.push(await accuracyOf(folder, neurons, teacher, seed));
        if (teacher === undefined) alone.push(...found);
        const mean = found.reduce((sum, value) => sum + value, 0) / seeds;
        const gains = found.map((value, index) => (value - alone[index]!) * 100);
        const name = teacher === undefined ? 'alone' : `taught at T = ${teacher.temperature}, weight ${teacher.weight}`;
        const gain = teacher && `; against alone, seed by seed: ${gains.map((each) => each.toFixed(2)).join(', ')} points`;
        console.log(`${rows} rows, ${neurons} neurons, ${name}: ${percent(mean)}${gain ?? ''}`);
      }
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
