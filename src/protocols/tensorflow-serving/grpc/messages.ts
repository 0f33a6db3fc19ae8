import type { ModelReference } from '../../../registry/types.ts';
import { push, readMapEntry } from '../../grpc/message-parts.ts';
import { WireReader } from '../../../protobuf/wire-reader.ts';
import { WireWriter } from '../../../protobuf/wire-writer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';

/** `ModelSpec`: which version of which model, and its signature. */
export interface ModelSpec {
  readonly reference: ModelReference;
  /** Empty for the default. */
  readonly signatureName: string;
}

/** `PredictRequest`. Its tensors are messages not yet read. */
export interface PredictRequest {
  readonly spec: ModelSpec;
  readonly inputs: readonly (readonly [name: string, tensor: Buffer])[];
  readonly outputFilter: readonly string[];
}

/** `ClassificationRequest` and `RegressionRequest`, which are alike. Its examples are messages not yet read. */
export interface ExamplesRequest {
  readonly spec: ModelSpec;
  readonly examples: readonly Buffer[];
  /** An example whose features all others share. */
  readonly context: Buffer | undefined;
}

/** Most examples in a request: each costs more memory than it has bytes. */
const MOST_EXAMPLES = 100_000;

function invalid(path: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `${path} ${problem}.`, { details: [{ path, message: problem }] });
}

/** `google.protobuf.Int64Value`. */
function readInt64Value(reader: WireReader): number | bigint {
  let value: number | bigint = 0;
  while (reader.next()) {
    if (reader.field === 1) value = reader.int64();
    else reader.skip();
  }
  return value;
}

function readModelSpec(reader: WireReader): ModelSpec {
  let model = '';
  let version: number | bigint | undefined;
  let label: string | undefined;
  let signatureName = '';
  while (reader.next()) {
    if (reader.field === 1) model = reader.string();
    else if (reader.field === 2) [version, label] = [readInt64Value(reader.message()), undefined];
    else if (reader.field === 3) signatureName = reader.string();
    else if (reader.field === 4) [version, label] = [undefined, reader.string()];
    else reader.skip();
  }
  if (model === '') throw invalid('model_spec.name', 'is missing');
  if (version !== undefined && !(Number.isSafeInteger(Number(version)) && version > 0)) {
    throw invalid('model_spec.version', `is ${version}; versions are positive whole numbers`);
  }
  return {
    reference: { model, ...(version !== undefined && { version: Number(version) }), ...(label !== undefined && { label }) },
    signatureName,
  };
}

function required(spec: ModelSpec | undefined): ModelSpec {
  if (spec === undefined) throw invalid('model_spec', 'is missing');
  return spec;
}

function messageBytes(reader: WireReader): Buffer {
  return reader.rest();
}

/** @throws SlipwayError INVALID_REQUEST when the bytes are no such message or name no model. */
export function readPredictRequest(bytes: Buffer): PredictRequest {
  const reader = new WireReader(bytes);
  let spec: ModelSpec | undefined;
  const inputs: [string, Buffer][] = [];
  const outputFilter: string[] = [];
  while (reader.next()) {
    if (reader.field === 1) spec = readModelSpec(reader.message());
    else if (reader.field === 2) {
      const [name, tensor = Buffer.alloc(0)] = readMapEntry(reader.message(), messageBytes);
      push(inputs, [name, tensor], 'inputs');
    } else if (reader.field === 3) push(outputFilter, reader.string(), 'outputs');
    else reader.skip();
  }
  return { spec: required(spec), inputs, outputFilter };
}

/** `ExampleList` and `ExampleListWithContext`. */
function readExampleList(reader: WireReader): Pick<ExamplesRequest, 'examples' | 'context'> {
  const examples: Buffer[] = [];
  let context: Buffer | undefined;
  while (reader.next()) {
    if (reader.field === 1) push(examples, reader.bytes(), 'examples', MOST_EXAMPLES);
    else if (reader.field === 2) context = reader.bytes();
    else reader.skip();
  }
  return { examples, context };
}

/** @throws SlipwayError INVALID_REQUEST when the bytes are no such message or name no model. */
export function readExamplesRequest(bytes: Buffer): ExamplesRequest {
  const reader = new WireReader(bytes);
  let spec: ModelSpec | undefined;
  let list: Pick<ExamplesRequest, 'examples' | 'context'> = { examples: [], context: undefined };
  while (reader.next()) {
    if (reader.field === 1) spec = readModelSpec(reader.message());
    else if (reader.field === 2) {
      const input = reader.message();
      while (input.next()) {
        if (input.field === 1 || input.field === 2) list = readExampleList(input.message());
        else input.skip();
      }
    } else reader.skip();
  }
  return { spec: required(spec), ...list };
}

/** `GetModelMetadataRequest`. */
export function readMetadataRequest(bytes: Buffer): { readonly spec: ModelSpec; readonly fields: readonly string[] } {
  const reader = new WireReader(bytes);
  let spec: ModelSpec | undefined;
  const fields: string[] = [];
  while (reader.next()) {
    if (reader.field === 1) spec = readModelSpec(reader.message());
    else if (reader.field === 2) push(fields, reader.string(), 'metadata fields');
    else reader.skip();
  }
  return { spec: required(spec), fields };
}

/** `GetModelStatusRequest`. */
export function readStatusRequest(bytes: Buffer): ModelSpec {
  return readMetadataRequest(bytes).spec;
}

/** The `ModelSpec` of an answer: the version that answered. */
export function writeModelSpec(model: string, version: number, signatureName: string): WireWriter {
  const writer = new WireWriter().string(1, model).message(2, new WireWriter().int(1, version));
  return signatureName === '' ? writer : writer.string(3, signatureName);
}
