import { readFileSync } from 'node:fs';
import { describe, it } from 'vitest';
import { compileLayersModel } from '../../../src/compiler/compile.ts';
import { decodeWeights } from '../../../src/packages/tfjs/decode-weights.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';
import { expectClose } from '../../helpers/compiled-model.ts';
import { runGraph } from '../../helpers/run-graph.ts';

interface Numbers {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

interface GoldenCase {
  readonly name: string;
  readonly topology: Readonly<Record<string, unknown>>;
  readonly weights: readonly (Numbers & { readonly name: string })[];
  readonly inputs: Readonly<Record<string, Numbers>>;
  readonly outputs: readonly Numbers[];
}

/** Models with what Keras 3 gave for them, made by scripts/fixtures/keras_golden.py. */
const file = readFileSync(new URL('../../fixtures/keras/golden.json', import.meta.url), 'utf8');
const { cases } = JSON.parse(file) as { cases: GoldenCase[] };

const tensorOf = ({ shape, values }: Numbers): Tensor => ({ dtype: 'FP32', shape, data: Float32Array.from(values) });

describe('compiled models give what Keras 3 gives', () => {
  it.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, { topology, weights, inputs, outputs }) => {
    const specs = weights.map(({ name, shape }) => ({ name, shape: [...shape], dtype: 'float32' as const }));
    const data = weights.map(({ values }) => Float32Array.from(values).buffer);
    const graph = compileLayersModel(topology, decodeWeights({ specs, data }));
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, numbers]) => [name, tensorOf(numbers)]));
    const results = await runGraph(graph, feeds);
    for (const [index, { name }] of graph.outputs.entries()) expectClose(results.get(name)!, tensorOf(outputs[index]!));
  });
});
