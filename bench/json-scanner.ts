import { decodeJsonTensor } from '../src/tensor/json-decode.ts';
import { encodeJsonTensor } from '../src/tensor/json-encode.ts';
import { parseJson, type ScannedJson } from '../src/tensor/json-scanner.ts';
import { median } from './lib/statistics.ts';

/*
 * What it costs to turn the JSON body of a predict request into a tensor, and a tensor into JSON, against the ways that
 * the language offers. The runs are interleaved, so that a slow moment of the machine meets both; read the ratios.
 * Run: node bench/json-scanner.ts
 */

const SIDE = 28;
const ROUNDS = 400;
const WARM_UP_ROUNDS = 100;
const CALLS = 25;

/** Numbers drawn by a fixed rule (a linear congruential generator), so that each run measures the same bodies. */
function createDraw(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    return state / 0x7f_ff_ff_ff;
  };
}

/** Several bodies of one kind: with a single one, a processor learns its digits by heart. */
function bodies(draw: () => number): Buffer[] {
  return Array.from({ length: 16 }, () => {
    const rows = Array.from({ length: SIDE }, () => Array.from({ length: SIDE }, draw));
    return Buffer.from(JSON.stringify({ model: 'digits', inputs: [rows] }));
  });
}

function scan(body: Buffer): Float32Array {
  const document = parseJson(body) as { readonly [name: string]: ScannedJson };
  return decodeJsonTensor(document['inputs']!, { dtype: 'FP32', path: 'inputs' }).data as Float32Array;
}

/** The short way, which checks nothing. */
function parseAndFlat(body: Buffer): Float32Array {
  const { inputs } = JSON.parse(body.toString('utf8')) as { readonly inputs: readonly unknown[] };
  return Float32Array.from(inputs.flat(Number.POSITIVE_INFINITY) as number[]);
}

/** The way that checks: that the arrays are regular and that every leaf is a number. */
function parseAndCheck(body: Buffer): Float32Array {
  const { inputs } = JSON.parse(body.toString('utf8')) as { readonly inputs: unknown };
  const shape: number[] = [];
  for (let probe = inputs; Array.isArray(probe); probe = probe[0] as unknown) shape.push(probe.length);
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  let next = 0;
  const visit = (value: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (typeof value !== 'number') throw new TypeError('not a number');
      data[next] = value;
      next += 1;
      return;
    }
    if (!Array.isArray(value) || value.length !== shape[axis]) throw new TypeError('ragged');
    for (const each of value) visit(each, axis + 1);
  };
  visit(inputs, 0);
  return data;
}

/** Median microseconds of one call of each way, on arguments that take turns. */
function compare<Argument>(ways: readonly ((argument: Argument) => unknown)[], args: readonly Argument[]): number[] {
  const times = ways.map((): number[] => []);
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round += 1) {
    for (const [index, way] of ways.entries()) {
      const begun = performance.now();
      for (let call = 0; call < CALLS; call += 1) way(args[(round + call) % args.length]!);
      if (round >= WARM_UP_ROUNDS) times[index]!.push(((performance.now() - begun) * 1_000) / CALLS);
    }
  }
  return times.map((each) => median(each));
}

/** A line with the time of the first way, and the times of the others with the ratio of the first to each. */
function printRow(label: string, [ours, ...others]: readonly number[]): void {
  const cells = others.map((other) => `${other.toFixed(1).padStart(8)} ${(ours! / other).toFixed(2).padStart(6)}`);
  console.log(label.padEnd(34) + ours!.toFixed(1).padStart(8) + cells.join(''));
}

const draw = createDraw(7);
const kinds = {
  'five decimals': () => Number(draw().toFixed(5)),
  'five decimals, half of them 0': () => (draw() < 0.5 ? 0 : Number(draw().toFixed(5))),
  'integers 0 to 255': () => Math.floor(draw() * 256),
  'FP32 printed as doubles': () => Math.fround(draw()),
};

console.log('body to FP32 tensor, µs            scanner    flat  ratio   check  ratio');
for (const [label, next] of Object.entries(kinds)) {
  const some = bodies(next);
  const [expected, ...found] = [parseAndFlat, scan, parseAndCheck].map((way) => Buffer.from(way(some[0]!).buffer));
  if (!found.every((each) => each.equals(expected!))) throw new Error(`the ways do not agree on ${label}`);
  printRow(`${label}, ${(some[0]!.length / 1_000).toFixed(1)} kB`, compare([scan, parseAndFlat, parseAndCheck], some));
}

const outputs = Array.from({ length: 64 }, () => Float32Array.from({ length: 1_000 }, draw));
console.log('\n1,000 FP32 to text, µs             encoder    JSON  ratio');
printRow(
  'random numbers',
  compare<Float32Array>(
    [(data) => encodeJsonTensor({ dtype: 'FP32', shape: [1, data.length], data }), (data) => JSON.stringify([Array.from(data)])],
    outputs,
  ),
);
