import { foldConstants, modernizeFormat } from '../onnx-model/constants.ts';
import { freshNames, removeUnused } from '../onnx-model/graph-index.ts';
import type { OnnxGraph, OnnxModel, OnnxNode } from '../onnx-model/model.ts';
import { raiseOpset } from '../onnx-model/raise-opset.ts';
import { readOnnxModel } from '../onnx-model/read-model.ts';
import { contentBytes, makeTensor } from '../onnx-model/tensor-content.ts';
import { writeOnnxModel } from '../onnx-model/write-model.ts';
import { inapplicable, type TechniqueInput, type TechniqueReport } from './technique.ts';

/** Adds constants to a graph under names that are free. */
export function createTensorWriter(graph: OnnxGraph) {
  const fresh = freshNames(graph);
  const zeros = new Map<number | undefined, string>();
  const add = (wanted: string, tensor: Parameters<typeof makeTensor>[1]): string => {
    const name = fresh(wanted);
    graph.initializers.set(name, makeTensor(name, tensor));
    return name;
  };
  return {
    fresh,
    add,
    /** A zero point of zeros for int8, one for all weights of as many channels. */
    zero(count: number | undefined): string {
      const known = zeros.get(count);
      if (known !== undefined) return known;
      const shape = count === undefined ? [] : [count];
      const name = add('zero', { dtype: 'INT8', shape, data: new Int8Array(count ?? 1) });
      zeros.set(count, name);
      return name;
    },
  };
}

export type TensorWriter = ReturnType<typeof createTensorWriter>;

function countByOperator(nodes: Iterable<OnnxNode>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

function weightBytesOf({ graph }: OnnxModel): number {
  return [...graph.initializers.values()].reduce((total, { content }) => total + contentBytes(content), 0);
}

/** Each problem once, with how often it was met: `2 × Gemm: it has factors`. */
export function countProblems(problems: Iterable<string>): string[] {
  const counts = new Map<string, number>();
  for (const problem of problems) counts.set(problem, (counts.get(problem) ?? 0) + 1);
  return [...counts].map(([problem, count]) => `${count} × ${problem}`);
}

/**
 * Reads the model that a technique is for, with its constants as initializers.
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE when it is of an operator set before `leastOpset` and cannot be brought there; INVALID_MODEL
 */
export async function openForRewrite({ folder, target, bounds }: TechniqueInput, leastOpset: number) {
  const model = await readOnnxModel(folder, bounds);
  if (leastOpset > (model.opsets.get('') ?? 0)) raiseOpset(model);
  const opset = model.opsets.get('') ?? 0;
  if (opset < leastOpset) {
    throw inapplicable(`The model is of the ONNX operator set ${opset}; this needs ${leastOpset} or later. Export it anew.`);
  }
  modernizeFormat(model);
  foldConstants(model.graph);
  const before = weightBytesOf(model);
  return {
    model,
    /** Writes what has become of it, without constants that nobody takes any more. */
    async write(changed: Iterable<OnnxNode>, unchanged: readonly string[]): Promise<TechniqueReport> {
      const counts = countByOperator(changed);
      removeUnused(model.graph);
      const files = await writeOnnxModel(model, target);
      return { files, changed: counts, unchanged, weightBytes: { before, after: weightBytesOf(model) } };
    },
  };
}
