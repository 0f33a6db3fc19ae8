import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { tfjsTrainer } from '../../../../src/engines/tfjs/training/tfjs-trainer.ts';
import type { CreateTrainer, LayerConfig, TrainerSpec, Values } from '../../../../src/engines/training/trainer.ts';
import { onnxTrainer } from '../../../../src/jobs/child/train/onnx-trainer.ts';
import { NEEDS_TENSORFLOW, tensorflowFolder } from '../../../helpers/native-tensorflow.ts';

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
  ['onnx', onnxTrainer(1)],
];

function trainsLikePyTorch(create: CreateTrainer): void {
  it.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, each) => {
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
  const isHere = engine !== 'tfjs tensorflow' || tensorflowFolder !== undefined;
  describe.skipIf(!isHere)(`ten steps of the trainer ${engine} are those of PyTorch${isHere ? '' : ` (${NEEDS_TENSORFLOW})`}`, () => {
    trainsLikePyTorch(create);
  });
}
