import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { fileInside } from '../../packages/file-inside.ts';
import { invalidModel } from './invalid-model.ts';
import type { OnnxModel, TensorContent } from './model.ts';
import { orderNodes } from './order-nodes.ts';
import type { ReadBounds } from './read-budget.ts';
import { readModelMessage } from './read-message.ts';
import type { UnresolvedTensor } from './read-tensor.ts';

export const ONNX_FILE = 'model.onnx';

/** Protobuf messages end here, and so do ONNX files; weights beyond are in files beside them. */
const MOST_FILE_BYTES = 2 ** 31;

/** The largest models of language have some 30 MB of nodes, which are less than half a million parts. */
const BOUNDS: ReadBounds = { maxGraphBytes: 64 * 1024 * 1024, maxGraphParts: 2_000_000 };

/** Looks where elements in other files are, and that they are there. */
async function resolveExternal(folder: string, tensors: readonly UnresolvedTensor[]): Promise<void> {
  const files = new Map<string, { readonly path: string; readonly size: number }>();
  for (const tensor of tensors) {
    if (!('location' in tensor.content)) continue;
    const { location, offset, byteLength } = tensor.content;
    let file = files.get(location);
    if (file === undefined) {
      const path = await fileInside(folder, location, { what: 'weight file', namedBy: ONNX_FILE });
      file = { path, size: (await stat(path)).size };
      files.set(location, file);
    }
    const length = byteLength ?? file.size - offset;
    if (length < 0 || offset + length > file.size) {
      throw invalidModel(
        `takes the tensor "${tensor.name}" from the bytes ${offset} to ${offset + Math.max(0, length)} of "${location}", which has ${file.size}`,
      );
    }
    tensor.content = { kind: 'external', path: file.path, offset, byteLength: length } satisfies TensorContent;
  }
}

/**
 * Reads the `model.onnx` of a version folder into a form that can be edited. Elements of tensors are not copied; those in
 * other files of the folder are read when they are asked for.
 * @param bounds by default 64 MiB of nodes and names, in 2,000,000 parts
 * @throws SlipwayError INVALID_MODEL: the file is missing, damaged or cut off; has more nodes than the bounds allow, or ones
 *   that wait for each other; or names a file of weights that is missing, too short or outside of the folder.
 */
export async function readOnnxModel(folder: string, bounds: Partial<ReadBounds> = {}): Promise<OnnxModel> {
  const file = join(folder, ONNX_FILE);
  let bytes: Buffer;
  try {
    const { size } = await stat(file);
    if (size >= MOST_FILE_BYTES) throw invalidModel(`has ${size} bytes; an ONNX file ends at ${MOST_FILE_BYTES}`);
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError('INVALID_MODEL', `${ONNX_FILE} is missing or cannot be read.`, { cause: error });
  }
  try {
    const { model, external } = readModelMessage(bytes, { ...BOUNDS, ...bounds });
    await resolveExternal(folder, external);
    orderNodes(model.graph);
    return model;
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.code !== 'INVALID_REQUEST') throw error;
    throw invalidModel(`is no ONNX model or is damaged: ${error.message.replace(/^The message is malformed: |\.$/g, '')}`, error);
  }
}
