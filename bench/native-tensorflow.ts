/**
 * Native TensorFlow beside what it stands in for, in turn: training LeNet-5 with tfjs on it and on WebAssembly, and a SavedModel
 * in Slipway's engine and in Python.
 * Usage: node bench/native-tensorflow.ts [rounds=3] [batch=64]
 * SLIPWAY_TENSORFLOW_FOLDER names native TensorFlow where it is not in its usual place; PYTHON a Python with tensorflow.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRandom } from '../src/datasets/random.ts';
import { loadModel } from '../src/engines/engines.ts';
import { tfjsTrainer } from '../src/engines/tfjs/training/tfjs-trainer.ts';
import { layersOf } from '../src/jobs/training/architectures/layers-of.ts';
import { defaultFolder, FOLDER_VARIABLE } from '../src/native/installation.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { median } from './lib/statistics.ts';

const CLASSES = 10;
const STEPS = 60;
const CALLS = 300;
const THREADS = 1;
const BATCHES = [1, 32];
const PROGRAM = fileURLToPath(new URL('./lib/saved_model_calls.py', import.meta.url));
const tensorflowFolder = process.env[FOLDER_VARIABLE] ?? defaultFolder(process.env);

function imagesOf(batch: number): { shape: number[]; data: Float32Array } {
  return { shape: [batch, 28, 28, 1], data: Float32Array.from({ length: batch * 784 }, createRandom(1)) };
}

/** Images per second of one backend; a process has one for all its life. */
async function train(backend: 'tensorflow' | 'wasm', batch: number): Promise<number> {
  const labels = Array.from({ length: CLASSES }, (_label, index) => String(index));
  const trainer = await tfjsTrainer({ backends: [backend], tensorflowFolder, threads: THREADS })({
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
  const random = createRandom(2);
  const target = { shape: [batch], data: Int32Array.from({ length: batch }, () => Math.floor(random() * CLASSES)) };
  const inputs = imagesOf(batch);
  let begun = 0;
  for (let step = 1; step <= 2 * STEPS; step += 1) {
    if (step === STEPS + 1) begun = performance.now();
    await trainer.step({ inputs, target }, { learningRate: 0.001, step });
  }
  return (batch * STEPS * 1_000) / (performance.now() - begun);
}

function output(command: string, args: readonly string[]): number | undefined {
  const ran = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', CUDA_VISIBLE_DEVICES: '-1' },
  });
  return ran.status === 0 ? Number(ran.stdout.trim().split('\n').at(-1)) : undefined;
}

function inPython(...args: readonly (string | number)[]): number | undefined {
  return output(process.env['PYTHON'] ?? 'python3', [PROGRAM, ...args.map(String)]);
}

async function compareTraining(rounds: number, batch: number): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const found = { tensorflow: [] as number[], wasm: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    for (const backend of ['tensorflow', 'wasm'] as const)
      found[backend].push(output(process.execPath, [self, 'train', backend, String(batch)]) ?? Number.NaN);
  }
  const ratio = median(found.tensorflow.map((value, index) => value / found.wasm[index]!));
  console.log(
    `training LeNet-5 at batch ${batch}, ${THREADS} thread: tensorflow ${median(found.tensorflow).toFixed(0)} images/s, wasm ${median(found.wasm).toFixed(0)}; ratio ${ratio.toFixed(2)} (median of ${rounds})`,
  );
}

async function compareCalls(rounds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-saved-model-'));
  try {
    if (inPython('export', folder) === undefined)
      return console.log('SavedModel was not measured: there is no Python with tensorflow (name one by PYTHON)');
    const { model } = await loadModel({ folder, format: 'saved-model', threads: THREADS, tensorflowFolder, device: 'cpu' });
    const [input] = model.signature.inputs;
    const names = model.signature.outputs.map(({ name }) => name);
    for (const batch of BATCHES) {
      const image: Tensor = { dtype: 'FP32', ...imagesOf(batch) };
      const own: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        for (let call = 0; call < 50; call += 1) await model.run(new Map([[input!.name, image]]), names);
        const begun = performance.now();
        for (let call = 0; call < CALLS; call += 1) await model.run(new Map([[input!.name, image]]), names);
        own.push((performance.now() - begun) / CALLS);
        theirs.push(inPython('time', folder, batch, CALLS, THREADS)!);
      }
      const ratio = median(own.map((value, index) => value / theirs[index]!));
      console.log(
        `SavedModel LeNet-5 at batch ${batch}, ${THREADS} thread: ${median(own).toFixed(3)} ms, Python ${median(theirs).toFixed(3)} ms; ratio ${ratio.toFixed(2)} (median of ${rounds})`,
      );
    }
    await model.dispose();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const [first, second, third] = process.argv.slice(2);
if (first === 'train') console.log(await train(second as 'tensorflow' | 'wasm', Number(third)));
else {
  await compareTraining(Number(first ?? 3), Number(second ?? 64));
  await compareCalls(Number(first ?? 3));
}
