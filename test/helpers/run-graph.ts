import { InferenceSession, type OnnxValue } from 'onnxruntime-node';
import type { Graph } from '../../src/compiler/graph/graph.ts';
import { encodeOnnx } from '../../src/compiler/onnx/encode-onnx.ts';
import { fromOrtValue, toOrtValue } from '../../src/engines/onnx/values.ts';
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts';

type Feeds = Readonly<Record<string, Tensor>>;

export interface OpenGraph {
  /** @param outputs all when left out. */
  run(feeds: Feeds, outputs?: readonly string[]): Promise<NamedTensors>;
  close(): Promise<void>;
}

/** A graph in ONNX Runtime, by way of its ONNX file, to be run again and again. */
export async function openGraph(graph: Graph): Promise<OpenGraph> {
  const session = await InferenceSession.create(Buffer.concat(encodeOnnx(graph).model), { logSeverityLevel: 4, intraOpNumThreads: 1 });
  return {
    async run(feeds, outputs = session.outputNames) {
      const values: Record<string, OnnxValue> = {};
      for (const [name, tensor] of Object.entries(feeds)) values[name] = toOrtValue(name, tensor);
      const results = await session.run(values, outputs);
      return new Map(Object.entries(results).map(([name, value]) => [name, fromOrtValue(value)]));
    },
    close: () => session.release(),
  };
}

/** Runs a graph in ONNX Runtime once. */
export async function runGraph(graph: Graph, feeds: Feeds): Promise<NamedTensors> {
  const session = await openGraph(graph);
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}
