import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CompileRequest, CompileResult } from '../../../compilation/result.ts';
import { compileLayersModel } from '../../../compiler/compile.ts';
import { encodeOnnx, EXTERNAL_DATA_FILE } from '../../../compiler/onnx/encode-onnx.ts';
import type { LoadedModel } from '../../../engines/engine.ts';
import { onnxEngine } from '../../../engines/onnx/onnx-engine.ts';
import { createTfjsEngine } from '../../../engines/tfjs/tfjs-engine.ts';
import { messageOf, SlipwayError } from '../../../errors/slipway-error.ts';
import { openLayersModel } from '../../../packages/layers-model.ts';
import { decodeWeights, type StoredWeight } from '../../../packages/tfjs/decode-weights.ts';
import type { NamedTensors } from '../../../tensor/tensor.ts';
import { checkInputs, vocabulariesOf } from './check-inputs.ts';
import { compareOutputs, compareSignatures } from './compare.ts';

const ONNX_FILE = 'model.onnx';

/** Sizes tried for axes that the model leaves open: convolutions need some room, and other layers may allow little. */
const OPEN_SIZES = [32, 8, 1] as const;

/** What tfjs gives for inputs of the first size that it takes; or what it says to the first. */
async function expectations(model: LoadedModel, vocabularies: ReadonlyMap<string, number>) {
  const outputs = model.signature.outputs.map(({ name }) => name);
  let problem = '';
  for (const open of OPEN_SIZES) {
    const pairs: { readonly inputs: NamedTensors; readonly outputs: NamedTensors }[] = [];
    try {
      for (const inputs of checkInputs(model.signature, vocabularies, open))
        pairs.push({ inputs, outputs: await model.run(inputs, outputs) });
      return pairs;
    } catch (error) {
      problem ||= messageOf(error);
    }
  }
  return problem;
}

/** The same weights, and the names of those that were not asked for yet. */
function tracked(weights: ReadonlyMap<string, StoredWeight>): {
  readonly found: ReadonlyMap<string, StoredWeight>;
  readonly unused: ReadonlySet<string>;
} {
  const unused = new Set(weights.keys());
  const found = [...weights].map(([name, weight]): [string, StoredWeight] => [
    name,
    {
      ...weight,
      tensor() {
        unused.delete(name);
        return weight.tensor();
      },
    },
  ]);
  return { found: new Map(found), unused };
}

/** An engine's words as the end of a sentence. */
function saidBy(error: unknown): string {
  return `tfjs cannot run it: ${messageOf(error)
    .replace(/^tfjs failed: /, '')
    .replace(/\.$/, '')}`;
}

/**
 * Compiles a layers model to ONNX and holds what ONNX Runtime makes of it to what tfjs does.
 * @throws SlipwayError COMPILE_FAILED, INVALID_MODEL
 */
export async function compileVersion({ folder, target, threads }: CompileRequest): Promise<CompileResult> {
  const { format, topology, weights } = await openLayersModel(folder);
  const { found, unused } = tracked(decodeWeights(await weights()));
  const graph = compileLayersModel(topology, found);
  // Names in such a file are given by people and other programs: one that nothing takes is a mistake in it.
  if (format === 'safetensors' && unused.size > 0)
    throw new SlipwayError(
      'INVALID_MODEL',
      `model.safetensors has ${[...unused].map((name) => `"${name}"`).join(', ')}, which no layer takes.`,
    );
  const { model, data } = encodeOnnx(graph);
  await writeFile(join(target, ONNX_FILE), model);
  if (data.length > 0) await writeFile(join(target, EXTERNAL_DATA_FILE), data);

  let tfjs: LoadedModel;
  try {
    tfjs = await createTfjsEngine().load({ folder, format, threads });
  } catch (error) {
    return { outcome: 'unchecked', reason: saidBy(error) };
  }
  const expected = await expectations(tfjs, vocabulariesOf(graph));
  if (typeof expected === 'string') return { outcome: 'unchecked', reason: saidBy(expected) };

  let largestDifference = 0;
  try {
    const compiled = await onnxEngine.load({ folder: target, format: 'onnx', threads });
    compareSignatures(compiled.signature, tfjs.signature);
    for (const { inputs, outputs } of expected) {
      largestDifference = Math.max(largestDifference, compareOutputs(await compiled.run(inputs, [...outputs.keys()]), outputs));
    }
    await compiled.dispose();
  } catch (error) {
    if (error instanceof SlipwayError && error.code === 'COMPILE_FAILED') throw error;
    throw new SlipwayError('COMPILE_FAILED', `ONNX Runtime cannot run the compiled model: ${messageOf(error)}`, { cause: error });
  }
  return { outcome: 'checked', largestDifference };
}
