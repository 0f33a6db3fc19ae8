import { WireWriter } from '../../protobuf/wire-writer.ts';
import type { NumericData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { DATA_TYPE, EXTERNAL, STRING_ENTRY, TENSOR } from './fields.ts';

/** Where the values of tensors go that are not in the model file itself. */
export interface ExternalData {
  /** Name of the file beside the model file. */
  readonly file: string;
  readonly parts: Uint8Array[];
  byteLength: number;
}

/** Values start at a multiple of this, so that a reader can map the file into memory. */
const ALIGNMENT = 4096;

/** Shorter tensors stay in the model file: ONNX Runtime reads shapes and axes before it opens other files. */
export const LEAST_EXTERNAL_BYTES = 1024;

/** The bytes of numbers; little-endian, as every machine is that Node runs on. A view, no copy. */
function bytesOf(data: NumericData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function entry(key: string, value: string): WireWriter {
  return new WireWriter().string(STRING_ENTRY.key, key).string(STRING_ENTRY.value, value);
}

/** Where in a file of weights a tensor starts that comes after `byteLength` bytes. */
export function nextOffset(byteLength: number): number {
  return Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
}

/** Says in a TensorProto that its elements are in another file. */
export function addReference(message: WireWriter, file: string, offset: number, byteLength: number): WireWriter {
  return message
    .message(TENSOR.externalData, entry('location', file))
    .message(TENSOR.externalData, entry('offset', String(offset)))
    .message(TENSOR.externalData, entry('length', String(byteLength)))
    .int(TENSOR.dataLocation, EXTERNAL);
}

/** A TensorProto. Its values are written as they lie in memory, into the message or to the external data. */
export function encodeTensor(name: string, { dtype, shape, data }: Tensor, external: ExternalData | undefined): WireWriter {
  const message = new WireWriter().packedVarints(TENSOR.dims, shape).int(TENSOR.dataType, DATA_TYPE[dtype]).string(TENSOR.name, name);
  if (dtype === 'BYTES') {
    for (const text of data as readonly Uint8Array[]) message.bytes(TENSOR.stringData, text);
    return message;
  }
  const bytes = bytesOf(data as NumericData);
  if (external === undefined || bytes.byteLength < LEAST_EXTERNAL_BYTES) return message.bytes(TENSOR.rawData, bytes);
  const offset = nextOffset(external.byteLength);
  external.parts.push(new Uint8Array(offset - external.byteLength), bytes);
  external.byteLength = offset + bytes.byteLength;
  return addReference(message, external.file, offset, bytes.byteLength);
}
