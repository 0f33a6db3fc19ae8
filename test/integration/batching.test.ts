import { describe, expect, it } from 'vitest';
import { post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

interface Statistics {
  readonly inference_count: number;
  readonly execution_count: number;
  readonly batch_stats: { readonly batch_size: number; readonly compute_infer: { readonly count: number } }[];
}

async function statisticsOf(address: string, model: string): Promise<Statistics> {
  const { model_stats: all } = (await (await fetch(`${address}/v2/models/${model}/stats`)).json()) as { model_stats: Statistics[] };
  return all[0]!;
}

async function outputsOf(address: string, model: string, inputs: unknown): Promise<unknown> {
  const response = await post(address, '/predict', JSON.stringify({ model, inputs }));
  expect(response.status).toBe(200);
  return ((await response.json()) as { outputs: unknown }).outputs;
}

/** Sends all at once, again and again, so that they gather. */
async function flood(address: string, model: string, bodies: readonly unknown[], rounds: number): Promise<unknown[][]> {
  const answers: unknown[][] = [];
  for (let round = 0; round < rounds; round += 1) {
    answers.push(await Promise.all(bodies.map((inputs) => outputsOf(address, model, inputs))));
  }
  return answers;
}

describe('requests that wait are run together', () => {
  it('on ONNX Runtime, and each gets its own answer', async () => {
    const { address } = await runningServer(['times-three', 'state']);
    const bodies = Array.from({ length: 40 }, (_body, index) => Array.from({ length: 1 + (index % 3) }, () => index));
    for (const answers of await flood(address, 'times-three', bodies, 6)) {
      for (const [index, answer] of answers.entries()) expect(answer).toEqual({ y: bodies[index]!.map((value) => value * 3) });
    }
    const { inference_count: inferences, execution_count: executions, batch_stats: batches } = await statisticsOf(address, 'times-three');
    const rows = 6 * bodies.reduce((sum, { length }) => sum + length, 0);
    expect(inferences).toBe(rows);
    expect(executions).toBe(batches.reduce((sum, { compute_infer: { count } }) => sum + count, 0));
    expect(batches.reduce((sum, { batch_size: size, compute_infer: { count } }) => sum + size * count, 0)).toBe(rows);
    expect(executions).toBeLessThan(6 * bodies.length);
  });

  it('and a model of images gives what it gives to each alone', async () => {
    const { address } = await runningServer(['digits']);
    const images = Array.from({ length: 12 }, (_image, index) =>
      Array.from({ length: 28 }, (_row, y) => Array.from({ length: 28 }, (_pixel, x) => ((x * y + index * 7) % 11) / 11)),
    );
    const alone: unknown[] = [];
    for (const image of images) alone.push(await outputsOf(address, 'digits', image));
    for (const answers of await flood(address, 'digits', images, 6)) {
      for (const [index, answer] of answers.entries()) {
        const { probabilities: given } = answer as { probabilities: number[][] };
        const { probabilities: wanted } = alone[index] as { probabilities: number[][] };
        for (const [digit, probability] of given[0]!.entries()) expect(probability).toBeCloseTo(wanted[0]![digit]!, 5);
      }
    }
  });
});
