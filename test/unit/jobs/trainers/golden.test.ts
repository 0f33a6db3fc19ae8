import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { tfjsTrainer } from '../../../../src/engines/tfjs/training/tfjs-trainer.ts';
import type { CreateTrainer, LayerConfig, TrainerSpec, Values } from '../../../../src/engines/training/trainer.ts';
import { onnxTrainer } from '../../../../src/jobs/child/train/onnx-trainer.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../../../helpers/native-tensorflow.ts';
import { hasWebGpu, NEEDS_WEBGPU } from '../../../helpers/webgpu.ts';

interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case extends Pick<TrainerSpec, 'loss' | 'optimizer' | 'clipping'> {
  readonly name: string;
  readonly layers: readonly LayerConfig[];
  readonly learningRate: number;
  readonly batchSize: number;
  readonly inputs: Numbers;
  readonly target: Numbers & { readonly classes: boolean };
  readonly initial: Readonly<Record<string, Numbers>>;
  readonly losses: readonly number[];
  readonly final: Readonly<Record<string, Numbers>>;
}

/** Made by scripts/fixtures/training_golden.py with PyTorch. */
const { cases } = JSON.parse(await readFile(new URL('../../../fixtures/training/golden.json', import.meta.url), 'utf8')) as {
  cases: readonly Case[];
};

const TOLERANCE = 1e-4;

/** The numbers of some examples. */
function rowsOf({ shape, data }: Numbers, from: number, count: number, make: (values: readonly number[]) => Values['data']): Values {
  const width = data.length / shape[0]!;
  return { shape: [count, ...shape.slice(1)], data: make(data.slice(from * width, (from + count) * width)) };
}

function largestDifference(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found).toHaveLength(expected.length);
  return expected.reduce((largest, value, index) => Math.max(largest, Math.abs(found[index]! - value)), 0);
}

const TRAINERS: readonly (readonly [string, CreateTrainer])[] = [
  ['tfjs wasm', tfjsTrainer({ backends: ['wasm'] })],
  ['tfjs cpu', tfjsTrainer({ backends: ['cpu'] })],
  ['tfjs tensorflow', tfjsTrainer({ backends: ['tensorflow'], tensorflowFolder })],
  ['tfjs webgpu', tfjsTrainer({ backends: ['webgpu'] })],
  ['onnx', onnxTrainer(1)],
];

/** What a trainer needs that this machine does not have; empty when nothing is missing. */
function missingFor(engine: string): string {
  if (engine === 'tfjs webgpu' && !hasWebGpu) return ` (${NEEDS_WEBGPU})`;
  return engine === 'tfjs tensorflow' && tensorflowFolder === undefined ? ` (${NEEDS_TENSORFLOW})` : '';
}

/** On a GPU in software these take 5 to 11 s each; on it the optimizers, which compute elsewhere, need no more than one try. */
const LONG_ON_SOFTWARE_GPU = new Set(['LSTM', 'GRU', 'TransformerDecoder, next token', 'SimpleRNN, a class for each step']);
const FIRST_LAYER_CASE = cases.findIndex(({ name }) => name.startsWith('Conv2D'));

function casesFor(engine: string): readonly Case[] {
  if (engine !== 'tfjs webgpu') return cases;
  return cases.filter(({ name }, index) => name === 'adam' || (index >= FIRST_LAYER_CASE && !LONG_ON_SOFTWARE_GPU.has(name)));
}

function trainsLikePyTorch(engine: string, create: CreateTrainer): void {
  it.each(casesFor(engine).map((each) => [each.name, each] as const))('%s', async (_name, each) => {
    const { layers, loss, optimizer, clipping, learningRate, batchSize, inputs, target, initial, losses, final } = each;
    const trainer = await create({ layers, loss, optimizer, clipping, frozen: [], seed: 1 });
    const state = new Map(trainer.state());
    const nameOf = (wanted: string): string => {
      const [layer, ...weight] = wanted.split('/');
      const found = [...state.keys()].filter((name) => name.startsWith(`weight/${layer}/`) && name.endsWith(`/${weight.join('/')}`));
      expect(found, wanted).toHaveLength(1);
      return found[0]!;
    };
    for (const [name, { shape, data }] of Object.entries(initial)) state.set(nameOf(name), { shape, data: Float32Array.from(data) });
    trainer.restore(state);
    for (const [index, expected] of losses.entries()) {
      const batch = {
        inputs: rowsOf(inputs, index * batchSize, batchSize, (values) =>
          layers[0]!.config['dtype'] === 'int32' ? Int32Array.from(values) : Float32Array.from(values),
        ),
        target: rowsOf(target, index * batchSize, batchSize, (values) =>
          target.classes ? Int32Array.from(values) : Float32Array.from(values),
        ),
      };
      const result = await trainer.step(batch, { learningRate, step: index + 1 });
      expect(Math.abs(result.loss - expected), `loss of step ${index + 1}`).toBeLessThanOrEqual(TOLERANCE);
    }
    const trained = trainer.state();
    for (const [name, { data }] of Object.entries(final))
      expect(largestDifference(trained.get(nameOf(name))!.data, data), name).toBeLessThanOrEqual(TOLERANCE);
    await trainer.dispose();
  });
}

for (const [engine, create] of TRAINERS) {
  const missing = missingFor(engine);
  describe.skipIf(missing !== '')(`ten steps of the trainer ${engine} are those of PyTorch${missing}`, () => {
    trainsLikePyTorch(engine, create);
  });
}
