/**
 * The first requests of a version with and without warm-up: one image to a server that was just made ready, again and
 * again with a fresh server. The second column is a request after many. Usage: node bench/warm-up.ts [rounds=9]
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digitsBody, ROOT } from './lib/digits.ts';
import { startSlipway } from './lib/processes.ts';
import { median } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 9);
const WARM_REQUESTS = 200;
const models = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
cpSync(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true });
cpSync(join(ROOT, 'test/fixtures/models/digits-graph'), join(models, 'digits-graph'), { recursive: true });
const { inputs } = JSON.parse(digitsBody().toString()) as { inputs: number[][][][] };
const bodies: Record<string, string> = {
  digits: JSON.stringify({ inputs }),
  'digits-graph': JSON.stringify({ inputs: [inputs[0]![0]!.map((row) => row.map((each) => [each]))] }),
};

interface Timed {
  /** In the engine, as `Server-Timing` tells, in milliseconds. */
  readonly computeMs: number;
  readonly wholeMs: number;
}

async function predict(port: number, model: string): Promise<Timed> {
  const startedAt = performance.now();
  const answer = await fetch(`http://127.0.0.1:${port}/models/${model}/predict`, {
    method: 'POST',
    body: bodies[model]!,
    headers: { 'content-type': 'application/json' },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  const computeMs = Number(/compute;dur=([\d.]+)/.exec(answer.headers.get('server-timing') ?? '')?.[1]);
  return { computeMs, wholeMs: performance.now() - startedAt };
}

const MODES = ['off', 'auto'] as const;
type Mode = (typeof MODES)[number];
const first: Record<string, Record<Mode, Timed[]>> = {};
const warm: Record<string, Record<Mode, Timed[]>> = {};

try {
  for (let round = -1; round < rounds; round += 1) {
    for (const mode of MODES) {
      const server = await startSlipway(['--models', models, '--warm-up-mode', mode]);
      try {
        // The gateway's own first request is none of the model's business.
        for (const model of Object.keys(bodies).toReversed()) {
          const one = await predict(server.port, model);
          for (let time = 0; time < WARM_REQUESTS; time += 1) await predict(server.port, model);
          const many = await predict(server.port, model);
          if (round < 0) continue;
          (first[model] ??= { off: [], auto: [] })[mode].push(one);
          (warm[model] ??= { off: [], auto: [] })[mode].push(many);
        }
      } finally {
        await server.stop();
      }
    }
  }
  const show = (each: readonly Timed[]): string =>
    `${median(each.map(({ computeMs }) => computeMs)).toFixed(2)} ms in the engine, ${median(each.map(({ wholeMs }) => wholeMs)).toFixed(1)} ms in all`;
  for (const model of Object.keys(bodies)) {
    for (const mode of MODES)
      console.log(
        `${model}, warm-up ${mode}: first request ${show(first[model]![mode])}; after ${WARM_REQUESTS} ${show(warm[model]![mode])}`,
      );
  }
} finally {
  rmSync(models, { recursive: true, force: true });
}
