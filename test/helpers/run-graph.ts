import { InferenceSession, type OnnxValue } from 'onnxruntime-node';
import type { Graph } from '../../src/compiler/graph/graph.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import { fromOrtValue, toOrtValue } from '../../src/engines/onnx/values.ts';
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts';

/** Runs a graph in ONNX Runtime, by way of its ONNX file. */
export async function runGraph(graph: Graph, feeds: Readonly<Record<string, Tensor>>): Promise<NamedTensors> {
  const session = await InferenceSession.create(Buffer.concat(encodeOnnx(graph).model), { logSeverityLevel: 4, intraOpNumThreads: 1 });
  try {
    const values: Record<string, OnnxValue> = {};
    for (const [name, tensor] of Object.entries(feeds)) values[name] = toOrtValue(name, tensor);
    const results = await session.run(values);
    return new Map(Object.entries(results).map(([name, value]) => [name, fromOrtValue(value)]));
  } finally {
    await session.release();
  }
}
