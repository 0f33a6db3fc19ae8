import type { Tensor } from '../../tensor/tensor.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { floats, int64s } from '../graph/tensors.ts';

/** ONNX's recurrent operators: their gates in the order of Keras' kernels, and where ONNX has each. */
export const CELLS = {
  SimpleRNN: { op: 'RNN', gates: [0], states: 1 },
  GRU: { op: 'GRU', gates: [0, 1, 2], states: 1 },
  // Keras: input, forget, cell, output. ONNX: input, output, forget, cell.
  LSTM: { op: 'LSTM', gates: [0, 3, 1, 2], states: 2 },
} as const;

export type CellName = keyof typeof CELLS;

/** A kernel [inputs, gates · units] as [1, gates · units, inputs] with the gates in ONNX' order. */
export function gatesFirst({ shape, data }: Tensor, gates: readonly number[]): Tensor {
  const [inputs, columns] = shape as [number, number];
  const source = data as Float32Array;
  const units = columns / gates.length;
  const target = new Float32Array(source.length);
  let at = 0;
  for (const gate of gates) {
    for (let unit = 0; unit < units; unit += 1) {
      for (let input = 0; input < inputs; input += 1) {
        target[at] = source[input * columns + gate * units + unit]!;
        at += 1;
      }
    }
  }
  return { dtype: 'FP32', shape: [1, columns, inputs], data: target };
}

/**
 * Biases as [1, 2 · gates · units]: those of the input, then those of the recurrence. Keras has the latter only in a GRU
 * that resets after its product, as a second row.
 */
export function gateBiases({ shape, data }: Tensor, gates: readonly number[]): Tensor {
  const source = data as Float32Array;
  const columns = shape.at(-1)!;
  const units = columns / gates.length;
  const target = new Float32Array(2 * columns);
  for (let row = 0; row < source.length / columns; row += 1) {
    for (const [place, gate] of gates.entries()) {
      const from = row * columns + gate * units;
      target.set(source.subarray(from, from + units), row * columns + place * units);
    }
  }
  return floats([1, 2 * columns], target);
}

/** Columns with the gates in another order. */
function reordered(graph: GraphBuilder, columns: Value, gates: readonly number[]): Value {
  if (gates.length === 1) return columns;
  const parts = graph.addAll('Split', [columns], { axis: -1, num_outputs: gates.length });
  return graph.add(
    'Concat',
    gates.map((gate) => parts[gate]),
    { axis: -1 },
  );
}

/** `gatesFirst` for a kernel that is an input of the graph. */
export function gatesFirstInGraph(graph: GraphBuilder, kernel: Value, gates: readonly number[]): Value {
  const turned = graph.add('Transpose', [reordered(graph, kernel, gates)], { perm: [1, 0] });
  return graph.add('Unsqueeze', [turned, graph.constant(int64s([0]))]);
}

/** `gateBiases` for biases that are an input of the graph. */
export function gateBiasesInGraph(graph: GraphBuilder, biases: Value, gates: readonly number[]): Value {
  const columns = biases.shape.at(-1) as number;
  const row = reordered(graph, biases, gates);
  if (biases.shape.length === 2) return graph.add('Reshape', [row, graph.constant(int64s([1, 2 * columns]))]);
  const both = graph.add('Concat', [row, graph.constant(floats([columns], new Float32Array(columns)))], { axis: 0 });
  return graph.add('Unsqueeze', [both, graph.constant(int64s([0]))]);
}
