import { push, pushDimensions, readMapEntry } from '../../grpc/message-parts.ts';
import { LENGTH_DELIMITED, WireReader } from '../../../protobuf/wire-reader.ts';
import { WireWriter } from '../../../protobuf/wire-writer.ts';
import { encodeBinaryTensor } from '../../../tensor/binary.ts';
import type { InferAnswer } from '../infer.ts';
import type { Parameters } from '../parameters.ts';

/** `InferInputTensor`, with its elements not yet read. */
export interface InferInputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: Parameters;
  /** The message `InferTensorContents`; empty when it was not sent. */
  readonly contents: Buffer;
}

export interface InferRequestedOutput {
  readonly name: string;
  readonly parameters: Parameters;
}

/** `ModelInferRequest` of inference.proto. */
export interface ModelInferRequest {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InferInputTensor[];
  readonly outputs: readonly InferRequestedOutput[];
  readonly rawInputContents: readonly Buffer[];
}

const EMPTY: Buffer = Buffer.alloc(0);

/** The `oneof` of `InferParameter`: the last field that is there. */
function readParameter(reader: WireReader): unknown {
  let value: unknown;
  while (reader.next()) {
    if (reader.field === 1) value = reader.bool();
    else if (reader.field === 2) value = reader.int64();
    else if (reader.field === 3) value = reader.string();
    else if (reader.field === 4) value = reader.double();
    else if (reader.field === 5) value = reader.uint64();
    else reader.skip();
  }
  return value;
}

function readInput(reader: WireReader): InferInputTensor {
  let name = '';
  let datatype = '';
  let contents: Buffer = EMPTY;
  const shape: number[] = [];
  const parameters: [string, unknown][] = [];
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) datatype = reader.string();
    else if (reader.field === 3) pushDimensions(shape, reader);
    else if (reader.field === 4) push(parameters, readMapEntry(reader.message(), readParameter), 'parameters');
    else if (reader.field === 5) {
      reader.expect(LENGTH_DELIMITED);
      // A message that is there more than once is merged, which for lists is one behind the other.
      contents = contents.length === 0 ? reader.bytes() : Buffer.concat([contents, reader.bytes()]);
    } else reader.skip();
  }
  return { name, datatype, shape, parameters: Object.fromEntries(parameters), contents };
}

function readOutput(reader: WireReader): InferRequestedOutput {
  let name = '';
  const parameters: [string, unknown][] = [];
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) push(parameters, readMapEntry(reader.message(), readParameter), 'parameters');
    else reader.skip();
  }
  return { name, parameters: Object.fromEntries(parameters) };
}

/**
 * Reads a `ModelInferRequest`. Its tensors stay views of the message.
 * @throws SlipwayError INVALID_REQUEST when the bytes are no such message, or have an absurd number of entries.
 */
export function readModelInferRequest(bytes: Buffer): ModelInferRequest {
  const reader = new WireReader(bytes);
  let modelName = '';
  let modelVersion = '';
  let id = '';
  const parameters: [string, unknown][] = [];
  const inputs: InferInputTensor[] = [];
  const outputs: InferRequestedOutput[] = [];
  const rawInputContents: Buffer[] = [];
  while (reader.next()) {
    if (reader.field === 1) modelName = reader.string();
    else if (reader.field === 2) modelVersion = reader.string();
    else if (reader.field === 3) id = reader.string();
    else if (reader.field === 4) push(parameters, readMapEntry(reader.message(), readParameter), 'parameters');
    else if (reader.field === 5) push(inputs, readInput(reader.message()), 'inputs');
    else if (reader.field === 6) push(outputs, readOutput(reader.message()), 'outputs');
    else if (reader.field === 7) push(rawInputContents, reader.bytes(), 'raw inputs');
    else reader.skip();
  }
  return { modelName, modelVersion, id, parameters: Object.fromEntries(parameters), inputs, outputs, rawInputContents };
}

/**
 * A `ModelInferResponse`, always raw, as Triton's: clients read both forms, and this one is copied as it is.
 * @param flags parameters that are true.
 */
export function writeModelInferResponse({ model, version, outputs }: InferAnswer, id: string, flags: readonly string[]): WireWriter {
  const writer = new WireWriter().string(1, model).string(2, String(version));
  if (id !== '') writer.string(3, id);
  for (const flag of flags) writer.message(4, new WireWriter().string(1, flag).message(2, new WireWriter().int(1, 1)));
  for (const [name, { dtype, shape }] of outputs) {
    writer.message(5, new WireWriter().string(1, name).string(2, dtype).packedVarints(3, shape));
  }
  for (const tensor of outputs.values()) writer.bytes(6, encodeBinaryTensor(tensor));
  return writer;
}

/** `RepositoryModelLoadRequest` of inference.proto. */
export interface RepositoryModelLoadRequest {
  readonly modelName: string;
  readonly parameters: Parameters;
}

/** The `oneof` of `ModelRepositoryParameter`: the last field that is there. */
function readRepositoryParameter(reader: WireReader): unknown {
  let value: unknown;
  while (reader.next()) {
    if (reader.field === 1) value = reader.bool();
    else if (reader.field === 2) value = reader.int64();
    else if (reader.field === 3) value = reader.string();
    else if (reader.field === 4) value = reader.bytes();
    else reader.skip();
  }
  return value;
}

/**
 * Reads a `RepositoryModelLoadRequest`. The files in it stay views of the message.
 * @throws SlipwayError INVALID_REQUEST as `readModelInferRequest`
 */
export function readRepositoryModelLoadRequest(bytes: Buffer): RepositoryModelLoadRequest {
  const reader = new WireReader(bytes);
  let modelName = '';
  const parameters: [string, unknown][] = [];
  while (reader.next()) {
    if (reader.field === 2) modelName = reader.string();
    else if (reader.field === 3) push(parameters, readMapEntry(reader.message(), readRepositoryParameter), 'parameters');
    else reader.skip();
  }
  return { modelName, parameters: Object.fromEntries(parameters) };
}
