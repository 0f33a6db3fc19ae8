/**
 * Training steps of LeNet-5 by the tfjs trainer against PyTorch, in turn.
 * Usage: node bench/train-step.ts [rounds=3] [batch=64]; PYTHON names a Python with torch.
 */
import { tfjsTrainer } from '../src/engines/tfjs/training/tfjs-trainer.ts';
import { layersOf } from '../src/jobs/training/architectures/layers-of.ts';
import { createRandom } from '../src/datasets/random.ts';
import { pytorchStepMs, WITHOUT_PYTORCH } from './lib/pytorch.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 3);
const batchSize = Number(process.argv[3] ?? 64);
const STEPS = 60;
const CLASSES = 10;
/** Of PyTorch. */
const THREADS = 2;

const labels = Array.from({ length: CLASSES }, (_label, index) => String(index));
const trainer = await tfjsTrainer()({
  layers: layersOf(
    { kind: 'lenet5' },
    { name: 'image', dtype: 'FP32', shape: [28, 28, 1] },
    { kind: 'class', column: 'label', labels, counts: labels.map(() => 1) },
    1,
  ),
  loss: 'cross-entropy',
  optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  clipping: {},
  frozen: [],
  seed: 1,
});
const random = createRandom(1);
const batch = {
  inputs: { shape: [batchSize, 28, 28, 1], data: Float32Array.from({ length: batchSize * 784 }, random) },
  target: { shape: [batchSize], data: Int32Array.from({ length: batchSize }, () => Math.floor(random() * CLASSES)) },
};
let step = 0;

/** Images per second. */
async function slipway(): Promise<number> {
  const begun = performance.now();
  for (let count = 0; count < STEPS; count += 1) await trainer.step(batch, { learningRate: 0.001, step: (step += 1) });
  return (batchSize * STEPS * 1_000) / (performance.now() - begun);
}

/** Images per second. */
function pytorch(): number | undefined {
  const stepMs = pytorchStepMs('lenet', { batch: batchSize, steps: STEPS * 5, threads: THREADS });
  return stepMs === undefined ? undefined : (batchSize * 1_000) / stepMs;
}

await slipway();
const own: number[] = [];
const theirs: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  own.push(await slipway());
  const other = pytorch();
  if (other !== undefined) theirs.push(other);
}
console.log(`${trainer.engine}: ${median(own).toFixed(0)} images/s at batch ${batchSize} (median of ${rounds})`);
if (theirs.length === 0) console.log(WITHOUT_PYTORCH);
else {
  const ratio = median(own.map((value, index) => value / theirs[index]!));
  console.log(`PyTorch, ${THREADS} threads: ${median(theirs).toFixed(0)} images/s; ratio ${ratio.toFixed(3)}`);
}
