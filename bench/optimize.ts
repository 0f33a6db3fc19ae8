/**
 * Optimization jobs on the digits model: the table of variants, each measured by the job beside its parent on digits that it
 * never saw. LeNet is taken as the TF.js layers model (pruning needs layers) and as the bundled ONNX model.
 * Usage: node bench/optimize.ts [epochs=20] [technique,technique,…]
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDigits } from '../scripts/digits/dataset.ts';
import { encodeEvaluation } from '../scripts/digits/evaluation.ts';
import type { Job } from '../src/jobs/job.ts';
import type { OptimizeResult, ParentMeasurement, VariantRow } from '../src/jobs/optimization/result.ts';
import { ROOT } from './lib/digits.ts';
import { startServer, untilReady } from './lib/processes.ts';

const epochs = Number(process.argv[2] ?? 20);
const PRUNE = (share: number, options: object) => ({ kind: 'prune-filters', share, ...options });
/** All but the second convolution. */
const LAYERS = ['conv2d_1', 'dense_6', 'dense_7'];
const TECHNIQUES: readonly unknown[] = process.argv[3]?.split(',') ?? [
  PRUNE(0.67, { layers: LAYERS }),
  PRUNE(0.5, {}),
  PRUNE(0.5, { scope: 'global' }),
  'compile',
  'int8',
  'weights-uint8',
];
/** The split of the bundled model's training. */
const SPLIT_SEED = 1;

const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
const models = join(folder, 'models');
mkdirSync(models);
cpSync(join(ROOT, 'test/fixtures/models/digits-layers'), join(models, 'lenet'), { recursive: true });
cpSync(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true });
const server = await startServer(['src/main.ts', '--port', '0', '--grpc-port', '0', '--models', models, '--state', join(folder, 'state')]);
const address = `http://127.0.0.1:${server.port}`;

async function upload(name: string, content: Buffer<ArrayBuffer>): Promise<void> {
  const response = await fetch(`${address}/datasets?name=${name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: content,
  });
  if (!response.ok) throw new Error(await response.text());
}

async function optimize(spec: object): Promise<OptimizeResult> {
  const response = await fetch(`${address}/optimize-jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(spec),
  });
  const { id } = (await response.json()) as Job;
  await (await fetch(`${address}/optimize-jobs/${id}/events`)).text();
  const job = (await (await fetch(`${address}/optimize-jobs/${id}`)).json()) as Job;
  if (job.state !== 'succeeded') throw new Error(job.reason);
  return job.result as OptimizeResult;
}

function nameOf({ techniques }: Pick<VariantRow, 'techniques'>): string {
  return techniques
    .map(({ kind, ...options }) =>
      'share' in options ? [kind, options.share, options.scope, ...('layers' in options ? (options.layers ?? []) : [])].join(' ') : kind,
    )
    .join(' + ');
}

function print(title: string, { parent, variants, data }: OptimizeResult): void {
  console.log(`\n${title}: ${data.rows.evaluation} rows measure, ${data.rows.calibration} calibrate, ${data.rows.fineTuning} fine-tune`);
  const cells = ({
    sizeBytes,
    compressedBytes,
    multiplications,
    accuracy,
  }: ParentMeasurement | NonNullable<VariantRow['measurement']>): string =>
    `${sizeBytes} B, ${compressedBytes} B gzipped, ${multiplications ?? '?'} multiplications, accuracy ${(accuracy * 100).toFixed(2)} %`;
  console.log(`parent: ${cells(parent)}; ${parent.latencies.map(({ batch, ms }) => `${ms.toFixed(3)} ms for ${batch}`).join(', ')}`);
  for (const row of variants) {
    console.log(`\n${nameOf(row)}: ${row.verdict}${row.onFront ? ', on the Pareto front' : ''}`);
    const { measurement } = row;
    if (measurement !== undefined) {
      const { latencies, sizeRatio, comparison } = measurement;
      const fewer =
        parent.multiplications !== undefined && measurement.multiplications !== undefined
          ? `, ${(parent.multiplications / measurement.multiplications).toFixed(2)} × fewer multiplications`
          : '';
      console.log(`  ${cells(measurement)}`);
      console.log(
        `  ${sizeRatio.toFixed(2)} × smaller${fewer}; ${latencies.map(({ batch, ms, speedup }) => `${speedup.toFixed(2)} × faster for ${batch} (${ms.toFixed(3)} ms)`).join(', ')}`,
      );
      console.log(
        `  drop ${(comparison.accuracyDrop * 100).toFixed(2)} points, agreement ${(comparison.agreement * 100).toFixed(2)} %, p = ${comparison.pValue.toPrecision(2)}`,
      );
    }
    for (const text of [...row.reasons, ...row.notes]) console.log(`  ${text}`);
    for (const { layer, before, after, sensitivity } of row.layers)
      if (sensitivity !== undefined) console.log(`  ${layer} alone ${before} → ${after}: ${(sensitivity * 100).toFixed(2)} points`);
  }
}

try {
  await untilReady(server.port);
  const { train, test } = loadDigits(SPLIT_SEED);
  await upload('digits-train', encodeEvaluation(train));
  await upload('digits-test', encodeEvaluation(test));
  const common = { limits: { accuracyDrop: 0.01 }, publish: false, budget: { tries: 16 }, seed: 1 };
  const fineTuning = { dataset: 'digits-train', epochs };
  print('LeNet as TF.js layers', await optimize({ model: 'lenet', data: 'digits-test', techniques: TECHNIQUES, fineTuning, ...common }));
  print(
    'digits as ONNX',
    await optimize({
      model: 'digits',
      techniques: ['int8', { kind: 'int8', calibration: 'entropy' }, { kind: 'int8', perChannel: false }],
      ...common,
    }),
  );
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
