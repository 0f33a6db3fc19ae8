import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { readOnnxModel } from '../../src/optimization/onnx-model/read-model.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** How often ONNX Runtime computes each operator once it has optimized the model of a folder: what really runs. */
export async function optimizedOperators(folder: string): Promise<Readonly<Record<string, number>>> {
  const target = await temporaryFolder();
  const written = join(target, 'optimized.onnx');
  const options = { optimizedModelFilePath: written, logSeverityLevel: 4 } as const;
  await (await InferenceSession.create(join(folder, 'model.onnx'), options)).release();
  await rename(written, join(target, 'model.onnx'));
  const counts: Record<string, number> = {};
  for (const { op } of (await readOnnxModel(target)).graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}
