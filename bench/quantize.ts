/**
 * What each technique for smaller numbers does to the bundled digits model and to a real convolutional network: size, time of
 * a run with 1 and with 32 examples, how good it is, and how often it answers as before. Every variant is timed in turn with
 * the model it comes from; medians of the rounds. Usage: node bench/quantize.ts [rounds=3] [words=400]
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadedModel } from '../src/engines/engine.ts';
import { onnxEngine } from '../src/engines/onnx/onnx-engine.ts';
import { int8Dynamic } from '../src/optimization/quantization/int8-dynamic.ts';
import { int8 } from '../src/optimization/quantization/int8.ts';
import { cluster, float16, weightsInt8 } from '../src/optimization/quantization/stored-weights.ts';
import type { CalibratedInput, TechniqueReport } from '../src/optimization/quantization/technique.ts';
import { modelBytes } from '../src/packages/model-files.ts';
import type { NamedTensors, Tensor } from '../src/tensor/tensor.ts';
import { digitsSubject, recognizerSubject, type Subject } from './lib/quantize-subjects.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 3);
const words = Number(process.argv[3] ?? 400);
/** Time for the runs of one model in one round. */
const ROUND_MS = 200;

const TECHNIQUES: Readonly<Record<string, (input: CalibratedInput) => Promise<TechniqueReport>>> = {
  int8: (input) => int8(input),
  'int8, minmax': (input) => int8(input, { calibration: 'minmax' }),
  'int8, entropy': (input) => int8(input, { calibration: 'entropy' }),
  'int8, per tensor': (input) => int8(input, { perChannel: false }),
  'int8, no Conv': (input) => int8(input, { operators: ['Gemm', 'MatMul'] }),
  'int8-dynamic': (input) => int8Dynamic(input),
  float16,
  'weights-int8': (input) => weightsInt8(input),
  'cluster 256': (input) => cluster(input),
  'cluster 64': (input) => cluster(input, { clusters: 64 }),
};

const open = (folder: string): Promise<LoadedModel> => onnxEngine.load({ folder, format: 'onnx', threads: 1 });

async function runMs(model: LoadedModel, inputs: NamedTensors): Promise<number> {
  const outputs = model.signature.outputs.map(({ name }) => name);
  await model.run(inputs, outputs);
  const startedAt = performance.now();
  let runs = 0;
  for (; runs === 0 || performance.now() - startedAt < ROUND_MS; runs += 1) await model.run(inputs, outputs);
  return (performance.now() - startedAt) / runs;
}

async function answersOf(model: LoadedModel, { batches, judge }: Subject) {
  const [output] = model.signature.outputs;
  const results: Tensor[] = [];
  for (const batch of batches) results.push((await model.run(batch, [output!.name])).get(output!.name)!);
  return judge(results);
}

const points = (share: number): string => (100 * share).toFixed(2);

async function measure(subject: Subject, work: string): Promise<void> {
  const parent = await open(subject.folder);
  const parentBytes = statSync(join(subject.folder, 'model.onnx')).size;
  const before = await answersOf(parent, subject);
  const told = Object.entries(before.scores).map(([name, score]) => `${name} ${points(score)} %`);
  console.log(`${subject.title}: ${parentBytes} bytes, ${told.join(', ')}`);
  for (const [name, technique] of Object.entries(TECHNIQUES)) {
    const target = join(work, name.replaceAll(/\W+/g, '-'));
    mkdirSync(target, { recursive: true });
    const report = await technique({ folder: subject.folder, target, calibration: subject.calibration, open });
    const bytes = statSync(join(target, 'model.onnx')).size;
    const { compressedBytes } = await modelBytes(target, 'onnx', ['model.onnx']);
    const variant = await open(target);
    const after = await answersOf(variant, subject);
    const times: string[] = [];
    for (const [at, inputs] of subject.timed.entries()) {
      const pairs: { readonly was: number; readonly is: number }[] = [];
      for (let round = 0; round < rounds; round += 1) pairs.push({ was: await runMs(parent, inputs), is: await runMs(variant, inputs) });
      const [was, is] = [median(pairs.map((pair) => pair.was)), median(pairs.map((pair) => pair.is))];
      const ratio = median(pairs.map((pair) => pair.was / pair.is));
      times.push(`batch ${at === 0 ? 1 : 32}: ${was.toFixed(3)} → ${is.toFixed(3)} ms, ${ratio.toFixed(2)}× as fast`);
    }
    await variant.dispose();
    const agreement = after.answers.filter((answer, at) => answer === before.answers[at]).length / before.answers.length;
    const lost = Object.entries(after.scores).map(
      ([score, share]) => `${score} ${points(share)} % (${points(share - before.scores[score]!)})`,
    );
    console.log(
      `  ${name.padEnd(17)} ${(parentBytes / bytes).toFixed(2)}× smaller (${(parentBytes / compressedBytes).toFixed(2)}× with zstd); ` +
        `${lost.join(', ')}; agreement ${points(agreement)} %; ${times.join('; ')}`,
    );
    for (const text of report.unchanged) console.log(`                    ${text}`);
  }
  await parent.dispose();
}

const work = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
try {
  await measure(digitsSubject(), join(work, 'digits'));
  await measure(await recognizerSubject(join(work, 'recognizer-parent'), words), join(work, 'recognizer'));
} finally {
  rmSync(work, { recursive: true, force: true });
}
