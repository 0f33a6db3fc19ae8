import type { Graph, Node, Value } from '../../../compiler/graph/graph.ts';
import { STORAGE } from '../../../tensor/dtype.ts';
import type { Signature, TensorSpec } from '../../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../../tensor/tensor.ts';

/** Numbers that are the same at each run, in [0, 1). Numerical Recipes' linear congruential generator. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Operators that pass whole numbers on as they are. */
const PASSING = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Transpose']);

/** The first input of a node that takes indices, and how many there are; undefined for other nodes. */
function indexed(graph: Graph, { op, inputs }: Node): { readonly indices: Value; readonly count: number } | undefined {
  const [first, second] = inputs;
  if (op === 'Gather' && graph.initializers.has(first!)) return { indices: second!, count: Number(first!.shape[0]) };
  if (op !== 'OneHot') return undefined;
  const depth = graph.initializers.get(second!);
  return depth && { indices: first!, count: Number(depth.data[0]) };
}

/** For inputs that choose among rows of a table or classes: how many these are. */
export function vocabulariesOf(graph: Graph): ReadonlyMap<string, number> {
  const makers = new Map<Value | undefined, Node>(graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
  const sizes = new Map<string, number>();
  for (const node of graph.nodes) {
    const choice = indexed(graph, node);
    if (choice === undefined) continue;
    let source: Value | undefined = choice.indices;
    for (let maker = makers.get(source); maker !== undefined && PASSING.has(maker.op); maker = makers.get(source)) [source] = maker.inputs;
    if (source !== undefined && graph.inputs.includes(source)) {
      sizes.set(source.name, Math.min(choice.count, sizes.get(source.name) ?? Number.POSITIVE_INFINITY));
    }
  }
  return sizes;
}

interface Shape {
  /** Size of an open first axis. */
  readonly batch: number;
  /** Size of other open axes. */
  readonly open: number;
}

function tensorOf(
  { dtype, shape }: TensorSpec,
  { batch, open }: Shape,
  vocabulary: number | undefined,
  next: () => number,
  spread: boolean,
): Tensor {
  const sizes = (shape ?? [1]).map((size, axis) => (size >= 0 ? size : axis === 0 ? batch : open));
  const count = sizes.reduce((product, size) => product * size, 1);
  if (dtype === 'BYTES') return { dtype, shape: sizes, data: Array.from({ length: count }, () => new Uint8Array()) };
  const data = new STORAGE[dtype](count) as Float32Array;
  for (let index = 0; index < count; index += 1) {
    const number = next();
    if (vocabulary !== undefined) data[index] = Math.floor(number * vocabulary);
    else if (dtype === 'BOOL') data[index] = number < 0.5 ? 0 : 1;
    else if (dtype === 'FP32') data[index] = spread ? 4 * number - 2 : number;
    else data[index] = Math.floor(number * 10);
  }
  return { dtype, shape: sizes, data };
}

/** Seeds, sizes and kinds of numbers: those of images, 0 to 1, and those of measurements, -2 to 2. */
const TRIALS = [
  { seed: 1, batch: 1, spread: false },
  { seed: 2, batch: 3, spread: true },
  { seed: 3, batch: 2, spread: true },
] as const;

/** Inputs to hold two engines to each other by. @param open size of axes that the model leaves open */
export function checkInputs({ inputs }: Signature, vocabularies: ReadonlyMap<string, number>, open: number): NamedTensors[] {
  return TRIALS.map(({ seed, batch, spread }) => {
    const next = randomNumbers(seed);
    return new Map(inputs.map((spec) => [spec.name, tensorOf(spec, { batch, open }, vocabularies.get(spec.name), next, spread)]));
  });
}
