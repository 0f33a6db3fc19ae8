import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { node, onnxModel } from '../helpers/onnx-model.ts';
import { runningServer } from '../helpers/running-server.ts';

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 60_000 });

const PIXELS = 28 * 28;

/** Images of noise from a seed: every row is different from every other. */
function images(rows: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 2_654_435_761 + 1;
  return Float32Array.from({ length: rows * PIXELS }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  });
}

/** Runs a model with one FP32 input by V2's binary form. @returns the bytes of the outputs, and the JSON before them. */
async function infer(
  address: string,
  model: string,
  name: string,
  shape: readonly number[],
  data: Float32Array<ArrayBuffer>,
  outputs?: readonly string[],
): Promise<{ status: number; header: { outputs: { name: string; shape: number[] }[] }; bytes: Buffer }> {
  const json = Buffer.from(
    JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [{ name, datatype: 'FP32', shape, parameters: { binary_data_size: data.byteLength } }],
      ...(outputs && { outputs: outputs.map((each) => ({ name: each })) }),
    }),
  );
  const response = await fetch(`${address}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(json.length) },
    body: Buffer.concat([json, Buffer.from(data.buffer)]),
  });
  const body = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length') ?? body.length);
  return { status: response.status, header: JSON.parse(body.toString('utf8', 0, length)), bytes: body.subarray(length) };
}

async function counts(address: string, model: string): Promise<{ requests: number; runs: number }> {
  const response = await fetch(`${address}/v2/models/${model}/stats`);
  const { model_stats } = (await response.json()) as {
    model_stats: { execution_count: number; inference_stats: { success: { count: number } } }[];
  };
  return { requests: model_stats[0]!.inference_stats.success.count, runs: model_stats[0]!.execution_count };
}

async function addModel(models: string, name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(join(models, name, '1'), { recursive: true });
  await writeFile(join(models, name, '1', 'model.onnx'), bytes);
}

describe('requests that run together', () => {
  it('get the same bits as alone, each its own, whatever the sizes', async () => {
    const [batched, alone] = await Promise.all([runningServer(['digits']), runningServer(['digits'], { scheduler: { maxBatchSize: 1 } })]);
    const ask = (address: string, rows: number, seed: number) => infer(address, 'digits', 'image', [rows, 1, 28, 28], images(rows, seed));
    // Together at first, so that a request is answered alone while others wait: that is when the model is tried.
    await Promise.all(Array.from({ length: 8 }, (_each, seed) => ask(batched.address, 1, seed)));
    let seed = 100;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 24 }), async (sizes) => {
        const seeded = sizes.map((rows) => ({ rows, seed: (seed += 1) }));
        const together = await Promise.all(seeded.map((each) => ask(batched.address, each.rows, each.seed)));
        for (const [index, each] of seeded.entries()) {
          const expected = await ask(alone.address, each.rows, each.seed);
          expect(together[index]!.status).toBe(200);
          expect(together[index]!.header.outputs).toEqual(expected.header.outputs);
          expect(together[index]!.bytes.equals(expected.bytes)).toBe(true);
        }
      }),
      { numRuns: 15 },
    );
    const done = await counts(batched.address, 'digits');
    expect(done.runs).toBeLessThan(done.requests);
    const unjoined = await counts(alone.address, 'digits');
    expect(unjoined.runs).toBe(unjoined.requests);
  });

  it('are never those of a model whose rows depend on each other, though its signature does not tell', async () => {
    const { address, models, server } = await runningServer([]);
    // A softmax over the first dimension: what another request has beside it would change its answer.
    await addModel(
      models,
      'over-rows',
      onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
        outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
        nodes: [node('Softmax', ['x'], ['y'], [{ name: 'axis', type: 2, i: 0 }])],
      }),
    );
    await server.registry.load('over-rows');
    const softmax = (values: readonly number[]): number[] => {
      const powers = values.map(Math.exp);
      const sum = powers.reduce((total, each) => total + each, 0);
      return powers.map((each) => each / sum);
    };
    for (let round = 0; round < 5; round += 1) {
      const requests = Array.from({ length: 16 }, (_each, index) =>
        Array.from({ length: 1 + (index % 4) }, (_value, at) => at + index / 16),
      );
      const answers = await Promise.all(
        requests.map((values) => infer(address, 'over-rows', 'x', [values.length], Float32Array.from(values))),
      );
      for (const [index, values] of requests.entries()) {
        const { bytes } = answers[index]!;
        const found = Array.from({ length: values.length }, (_each, at) => bytes.readFloatLE(4 * at));
        for (const [at, expected] of softmax(values).entries()) expect(found[at]).toBeCloseTo(expected, 5);
      }
    }
    const { requests, runs } = await counts(address, 'over-rows');
    expect(runs).toBe(requests);
  });

  it('fail one by one, and get the outputs that each asked for', async () => {
    const { address, models, server } = await runningServer([]);
    // Looks rows of a table up by an index that may be out of it; with a second output.
    await addModel(
      models,
      'lookup',
      onnxModel({
        inputs: [{ name: 'x', type: 'FP32', shape: ['n', 2] }],
        outputs: [
          { name: 'found', type: 'FP32', shape: ['n', 2] },
          { name: 'double', type: 'FP32', shape: ['n', 2] },
        ],
        nodes: [
          node('Cast', ['x'], ['index'], [{ name: 'to', type: 2, i: 7 }]),
          node('Gather', ['table', 'index'], ['found']),
          node('Add', ['x', 'x'], ['double']),
        ],
        initializers: [{ name: 'table', dataType: 1, dims: [4], floatData: [10, 11, 12, 13] }],
      }),
    );
    await server.registry.load('lookup');
    const ask = (index: number, outputs?: readonly string[]) => infer(address, 'lookup', 'x', [1, 2], Float32Array.of(index, 0), outputs);
    await Promise.all(Array.from({ length: 8 }, (_each, index) => ask(index % 4)));
    for (let round = 0; round < 5; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_each, index) => {
          if (index % 5 === 3) return ask(99);
          return index % 2 === 0 ? ask(index % 4) : ask(index % 4, ['double']);
        }),
      );
      for (const [index, { status, header, bytes }] of answers.entries()) {
        if (index % 5 === 3) {
          expect(status).toBe(500);
          continue;
        }
        expect(status).toBe(200);
        const names = header.outputs.map(({ name }) => name);
        expect(names).toEqual(index % 2 === 0 ? ['found', 'double'] : ['double']);
        expect(bytes.readFloatLE(0)).toBe(index % 2 === 0 ? 10 + (index % 4) : 2 * (index % 4));
      }
    }
  });
});
