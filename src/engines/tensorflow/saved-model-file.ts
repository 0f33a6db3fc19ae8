import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../../errors/has-code.ts';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { WireReader } from '../../protobuf/wire-reader.ts';
import type { TensorSpec } from '../../tensor/signature.ts';
import { dtypeOfNumber } from './dtypes.ts';

export const SAVED_MODEL_FILE = 'saved_model.pb';

/** A tensor of a signature, and its name in the graph, e.g. `serving_default_x:0`. */
export interface GraphTensor {
  readonly spec: TensorSpec;
  readonly tensor: string;
}

export interface SavedSignature {
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
}

/** The part of a SavedModel that is for serving. */
export interface SavedGraph {
  readonly tags: readonly string[];
  readonly signatures: ReadonlyMap<string, SavedSignature | SlipwayError>;
}

const VARIABLES_FILE = 'variables/variables.index';
const VARIABLE_OPERATOR = 'VarHandleOp';

/** The tag of the graph that is to be served, among others that a file may hold. */
const SERVING_TAG = 'serve';
/** What is run when the model is loaded; no one calls it. */
const INIT_SIGNATURE = '__saved_model_init_op';

/** `TensorShapeProto`: null for any rank. */
function readShape(reader: WireReader): number[] | null {
  const sizes: number[] = [];
  let unknownRank = false;
  while (reader.next()) {
    if (reader.field === 2) {
      const dimension = reader.message();
      let size = 0;
      while (dimension.next()) {
        if (dimension.field === 1) size = Number(dimension.int64());
        else dimension.skip();
      }
      sizes.push(Math.max(-1, size));
    } else if (reader.field === 3) unknownRank = reader.bool();
    else reader.skip();
  }
  return unknownRank ? null : sizes;
}

/** `TensorInfo`. @throws SlipwayError ENGINE_UNAVAILABLE for a tensor that Slipway cannot hold. */
function readTensor(name: string, reader: WireReader): GraphTensor {
  let tensor = '';
  let number = 0;
  let shape: number[] | null = null;
  let isDense = true;
  while (reader.next()) {
    if (reader.field === 1) tensor = reader.string();
    else if (reader.field === 2) number = Number(reader.int64());
    else if (reader.field === 3) shape = readShape(reader.message());
    else {
      isDense &&= reader.field !== 4 && reader.field !== 5;
      reader.skip();
    }
  }
  const dtype = dtypeOfNumber(number);
  if (!isDense) throw new SlipwayError('ENGINE_UNAVAILABLE', `${SAVED_MODEL_FILE}: "${name}" is a sparse or composite tensor.`);
  if (dtype === undefined)
    throw new SlipwayError(
      'ENGINE_UNAVAILABLE',
      `${SAVED_MODEL_FILE}: "${name}" has TensorFlow’s dtype ${number}, which Slipway has none for.`,
    );
  return { spec: { name, dtype, shape }, tensor };
}

/** An entry of a map: its key and a reader of its message. */
function readEntry(reader: WireReader): [string, WireReader] {
  let key = '';
  let value: WireReader = new WireReader(Buffer.alloc(0));
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = reader.message();
    else reader.skip();
  }
  return [key, value];
}

function readSignature(reader: WireReader): SavedSignature {
  const inputs: GraphTensor[] = [];
  const outputs: GraphTensor[] = [];
  while (reader.next()) {
    if (reader.field === 1) inputs.push(readTensor(...readEntry(reader.message())));
    else if (reader.field === 2) outputs.push(readTensor(...readEntry(reader.message())));
    else reader.skip();
  }
  // A map of protobuf has no order; names give one that is the same each time.
  const byName = (a: GraphTensor, b: GraphTensor): number => (a.spec.name < b.spec.name ? -1 : 1);
  return { inputs: inputs.toSorted(byName), outputs: outputs.toSorted(byName) };
}

function readTags(reader: WireReader): string[] {
  const tags: string[] = [];
  while (reader.next()) {
    if (reader.field === 4) tags.push(reader.string());
    else reader.skip();
  }
  return tags;
}

/** `MetaGraphDef`; the graph itself is left to TensorFlow. */
function readGraph(reader: WireReader): SavedGraph {
  let tags: string[] = [];
  const signatures = new Map<string, SavedSignature | SlipwayError>();
  while (reader.next()) {
    if (reader.field === 1) tags = readTags(reader.message());
    else if (reader.field === 5) {
      const [name, signature] = readEntry(reader.message());
      if (name === INIT_SIGNATURE) continue;
      try {
        signatures.set(name, readSignature(signature));
      } catch (error) {
        // Another signature may be one that can be served.
        if (!(error instanceof SlipwayError && error.code === 'ENGINE_UNAVAILABLE')) throw error;
        signatures.set(name, error);
      }
    } else reader.skip();
  }
  return { tags, signatures };
}

/** TensorFlow loads a model whose variables are gone, and fails when it is run. @throws SlipwayError INVALID_MODEL */
async function checkVariables(folder: string, model: Buffer): Promise<void> {
  if (!model.includes(VARIABLE_OPERATOR)) return;
  try {
    await access(join(folder, VARIABLES_FILE));
  } catch {
    throw new SlipwayError('INVALID_MODEL', `${VARIABLES_FILE} is missing, which holds the variables of the SavedModel.`);
  }
}

/**
 * Reads what a SavedModel says of itself (tensorflow/core/protobuf/saved_model.proto).
 * @throws SlipwayError INVALID_MODEL
 */
export async function readSavedModel(folder: string): Promise<SavedGraph> {
  let bytes: Buffer;
  try {
    bytes = await readFile(join(folder, SAVED_MODEL_FILE));
  } catch (error) {
    const problem = hasCode(error, 'ENOENT') ? 'is missing' : `cannot be read: ${messageOf(error)}`;
    throw new SlipwayError('INVALID_MODEL', `${SAVED_MODEL_FILE} ${problem}.`, { cause: error });
  }
  const graphs: SavedGraph[] = [];
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.field === 2) graphs.push(readGraph(reader.message()));
      else reader.skip();
    }
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${SAVED_MODEL_FILE} is no SavedModel: ${messageOf(error)}`, { cause: error });
  }
  const serving =
    graphs.find(({ tags }) => tags.length === 1 && tags[0] === SERVING_TAG) ?? graphs.find(({ tags }) => tags.includes(SERVING_TAG));
  if (serving === undefined) throw new SlipwayError('INVALID_MODEL', `${SAVED_MODEL_FILE} holds no graph with the tag "${SERVING_TAG}".`);
  await checkVariables(folder, bytes);
  return serving;
}
