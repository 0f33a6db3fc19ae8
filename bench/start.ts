/**
 * From process start to the first correct answer with two models, and the memory that it takes; the bare baseline
 * beside it. Usage: node bench/start.ts [rounds=7]
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DIGITS_ONNX, digitsBody, ROOT } from './lib/digits.ts';
import { type BenchServer, descendantsOf, residentBytes, startServer } from './lib/processes.ts';
import { median, quantile } from './lib/statistics.ts';

const rounds = Number(process.argv[2] ?? 7);
const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
const models = join(folder, 'models');
cpSync(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true });
cpSync(join(ROOT, 'models/digits'), join(models, 'digits-again'), { recursive: true });
const seven = readFileSync(join(ROOT, 'test/fixtures/images/seven.png'));

async function post(port: number, path: string, contentType: string, body: Buffer): Promise<Response | undefined> {
  try {
    return await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: new Uint8Array(body),
    });
  } catch {
    return undefined;
  }
}

/** Asks until the answer is right and gives the time since the process was started, in milliseconds. */
async function firstAnswer(server: BenchServer, ask: () => Promise<boolean>): Promise<number> {
  for (const deadline = server.startedAt + 30_000; performance.now() < deadline;) {
    if (await ask()) return performance.now() - server.startedAt;
    await new Promise((done) => setTimeout(done, 2));
  }
  throw new Error('no correct answer within 30 s');
}

const listenMs: number[] = [];
const jsonMs: number[] = [];
const imageMs: number[] = [];
const baselineMs: number[] = [];
const gatewayBytes: number[] = [];
const runnerBytes: number[] = [];
const baselineBytes: number[] = [];
const body = digitsBody();

try {
  for (let round = -1; round < rounds; round += 1) {
    const baseline = await startServer([join(ROOT, 'bench/baseline-server.ts'), DIGITS_ONNX]);
    const base = await firstAnswer(baseline, async () => (await post(baseline.port, '/predict', 'application/json', body))?.ok ?? false);
    const baseBytes = residentBytes(baseline.pid);
    await baseline.stop();

    const server = await startServer([
      '--max-semi-space-size=8',
      join(ROOT, 'bin/slipway.js'),
      '--port',
      '0',
      '--grpc-port',
      '0',
      '--models',
      models,
      '--state',
      join(folder, 'state'),
    ]);
    const listening = performance.now() - server.startedAt;
    const both = await firstAnswer(server, async () => {
      const [one, two] = await Promise.all([
        post(server.port, '/models/digits/predict', 'application/json', Buffer.from(body.toString().replace('"model":"digits",', ''))),
        post(
          server.port,
          '/models/digits-again/predict',
          'application/json',
          Buffer.from(body.toString().replace('"model":"digits",', '')),
        ),
      ]);
      return one?.ok === true && two?.ok === true;
    });
    const gateway = residentBytes(server.pid);
    const runners = descendantsOf(server.pid).map(residentBytes);
    const image = await firstAnswer(server, async () => {
      const answer = await post(server.port, '/predict?model=digits', 'image/png', seven);
      if (!answer?.ok) return false;
      const { predictions } = (await answer.json()) as { predictions: { label: string }[] };
      return predictions[0]?.label === '7';
    });
    await server.stop();
    if (round < 0) continue; // the first start of all compiles; later ones find the compiled code
    baselineMs.push(base);
    baselineBytes.push(baseBytes);
    listenMs.push(listening);
    jsonMs.push(both);
    imageMs.push(image);
    gatewayBytes.push(gateway);
    runnerBytes.push(...runners);
  }
  const show = (values: number[]): string =>
    `${median(values).toFixed(0)} (worst ${quantile(Float64Array.from(values).toSorted(), 1).toFixed(0)})`;
  const megabytes = (values: number[]): string => (median(values) / 1e6).toFixed(0);
  console.log(
    `listening after ${show(listenMs)} ms; first correct JSON answer of both models ${show(jsonMs)} ms; first recognised image ${show(imageMs)} ms`,
  );
  console.log(`the bare baseline with one model: ${show(baselineMs)} ms`);
  console.log(
    `resident at the first answer: gateway ${megabytes(gatewayBytes)} MB + one ONNX runner ${megabytes(runnerBytes)} MB = ` +
      `${((median(gatewayBytes) + median(runnerBytes)) / 1e6).toFixed(0)} MB; baseline ${megabytes(baselineBytes)} MB`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
