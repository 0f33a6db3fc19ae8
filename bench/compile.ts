/**
 * TF.js layers models compiled to ONNX: how long compiling takes, and what it does to the time of a prediction, against
 * tfjs on WebAssembly. Both engines are loaded in this process and run in turn; medians of the rounds.
 * Usage: node bench/compile.ts [rounds=7] [milliseconds=300]
 */
import '../scripts/no-telemetry.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileLayersModel } from '../src/compiler/compile.ts';
import { encodeOnnx } from '../src/compiler/onnx/encode-onnx.ts';
import type { LoadedModel } from '../src/engines/engine.ts';
import { onnxEngine } from '../src/engines/onnx/onnx-engine.ts';
import { createTfjsEngine } from '../src/engines/tfjs/tfjs-engine.ts';
import { compileVersion } from '../src/jobs/child/compile/compile-version.ts';
import { decodeWeights } from '../src/packages/tfjs/decode-weights.ts';
import { readModelFile } from '../src/packages/tfjs/model-file.ts';
import { readWeights } from '../src/packages/tfjs/read-weights.ts';
import { BENCH_MODELS, type BenchModel, writeModel } from './lib/layers-models.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 7);
const durationMs = Number(process.argv[3] ?? 300);
const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));

/** Reads, lowers and encodes a model, without writing or checking it; in milliseconds. */
async function compileMs(version: string): Promise<number> {
  const startedAt = performance.now();
  const file = await readModelFile(version);
  const graph = compileLayersModel(file.modelTopology, decodeWeights(await readWeights(version, file.weightsManifest)));
  encodeOnnx(graph);
  return performance.now() - startedAt;
}

/** Runs a model again and again; milliseconds for one run. */
async function runMs(model: LoadedModel, { shape, example }: BenchModel, batch: number): Promise<number> {
  const sizes = [batch, ...shape];
  const data = Float32Array.from({ length: sizes.reduce((product, size) => product * size, 1) }, (_value, index) => example(index));
  const inputs = new Map([[model.signature.inputs[0]!.name, { dtype: 'FP32' as const, shape: sizes, data }]]);
  const outputs = model.signature.outputs.map(({ name }) => name);
  await model.run(inputs, outputs);
  const startedAt = performance.now();
  let runs = 0;
  for (; performance.now() - startedAt < durationMs; runs += 1) await model.run(inputs, outputs);
  return (performance.now() - startedAt) / runs;
}

try {
  for (const [name, spec] of Object.entries(BENCH_MODELS)) {
    const version = join(folder, name);
    const model = spec.make();
    await writeModel(model, version);
    const parameters = model.countParams();
    // The first one pays for code that is not compiled yet, as a process that compiles one model does.
    const first = await compileMs(version);
    const later: number[] = [];
    for (let round = 0; round < rounds; round += 1) later.push(await compileMs(version));
    const target = mkdtempSync(join(folder, 'compiled-'));
    const checkedAt = performance.now();
    const result = await compileVersion({ folder: version, target, threads: 1 });
    const checkedMs = performance.now() - checkedAt;
    console.log(
      `${spec.title}: ${parameters} parameters; compiled in ${first.toFixed(0)} ms, then ${median(later).toFixed(0)} ms; ` +
        `with writing and check ${checkedMs.toFixed(0)} ms (${JSON.stringify(result)})`,
    );
    const onnx = await onnxEngine.load({ folder: target, format: 'onnx', threads: 1 });
    const wasm = await createTfjsEngine({ backends: ['wasm'] }).load({ folder: version, format: 'tfjs-layers', threads: 1 });
    for (const batch of [1, 32]) {
      const times: { onnx: number; wasm: number }[] = [];
      for (let round = 0; round < rounds; round += 1) {
        times.push({ wasm: await runMs(wasm, spec, batch), onnx: await runMs(onnx, spec, batch) });
      }
      const [slow, fast] = [median(times.map((each) => each.wasm)), median(times.map((each) => each.onnx))];
      const ratio = median(times.map((each) => each.wasm / each.onnx));
      console.log(`  batch ${batch}: tfjs wasm ${slow.toFixed(3)} ms, compiled ${fast.toFixed(3)} ms, ${ratio.toFixed(1)}× as fast`);
    }
    await onnx.dispose();
    await wasm.dispose();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
