import { tensorError } from '../../../tensor/shape.ts';
import type { DType } from '../../../tensor/dtype.ts';
import { elementCount, formatShape } from '../../../tensor/shape.ts';
import { type ElementFields, readElements } from '../../grpc/elements.ts';
import { push, readMapEntry } from '../../grpc/message-parts.ts';
import { FIXED32, LENGTH_DELIMITED, VARINT, WireReader } from '../../../protobuf/wire-reader.ts';
import type { DecodeFeature, Example } from '../examples.ts';

/** `Feature`: a list of one of three kinds, by the number of its field. */
const LISTS = { 1: 'bytes_list', 2: 'float_list', 3: 'int64_list' } as const;
type ListNumber = keyof typeof LISTS;

/** Which list holds the values of each dtype; all integers travel as 64-bit ones. */
const LIST_OF: Readonly<Record<DType, ListNumber | undefined>> = {
  BYTES: 1,
  FP32: 2,
  FP64: 2,
  INT64: 3,
  INT32: 3,
  INT16: 3,
  INT8: 3,
  UINT64: 3,
  UINT32: 3,
  UINT16: 3,
  UINT8: 3,
  BOOL: 3,
  FP16: undefined,
  BF16: undefined,
};

/** `value` of each list is its field 1. */
const VALUES: ElementFields = {
  byDtype: {
    BYTES: { number: 1, wireType: LENGTH_DELIMITED },
    FP32: { number: 1, wireType: FIXED32 },
    INT64: { number: 1, wireType: VARINT },
    UINT64: { number: 1, wireType: VARINT },
    INT32: { number: 1, wireType: VARINT },
    INT16: { number: 1, wireType: VARINT },
    INT8: { number: 1, wireType: VARINT },
    UINT32: { number: 1, wireType: VARINT },
    UINT16: { number: 1, wireType: VARINT },
    UINT8: { number: 1, wireType: VARINT },
    BOOL: { number: 1, wireType: VARINT },
    FP64: undefined,
    FP16: undefined,
    BF16: undefined,
  },
  names: { 1: 'value' },
};

/** Values of a list take a byte each at least, so this counts them without reading them. */
function mostValues(list: Buffer): number {
  return list.length;
}

function decodeFeature(feature: Buffer): DecodeFeature {
  return ({ dtype }, shape, path) => {
    const reader = new WireReader(feature);
    let kind: ListNumber | undefined;
    let list: Buffer = Buffer.alloc(0);
    while (reader.next()) {
      if (reader.field === 1 || reader.field === 2 || reader.field === 3) [kind, list] = [reader.field, reader.bytes()];
      else reader.skip();
    }
    const wanted = LIST_OF[dtype];
    if (wanted === undefined) throw tensorError(path, `${dtype} can't be sent as a feature; use Predict`);
    if (kind !== wanted) {
      throw tensorError(path, `is ${kind === undefined ? 'empty' : `a ${LISTS[kind]}`}; ${dtype} takes a ${LISTS[wanted]}`);
    }
    const most = shape === undefined ? mostValues(list) : elementCount(shape, path);
    const refuse = (found: string): Error => tensorError(path, `has ${found} values; ${dtype} ${formatShape(shape ?? null)} takes ${most}`);
    if (most > list.length) throw refuse(`at most ${list.length}`);
    const read = readElements(list, VALUES, { dtype: dtype === 'FP64' ? 'FP32' : dtype, most, path, refuse });
    if (shape !== undefined && read.count < most) throw refuse(String(read.count));
    const data = ArrayBuffer.isView(read.data) ? read.data.subarray(0, read.count) : read.data;
    return { dtype, shape: shape ?? [read.count], data: dtype === 'FP64' ? Float64Array.from(data as Float32Array) : data };
  };
}

/** The features of an `Example`. */
function readFeatures(example: Buffer): [string, DecodeFeature][] {
  const reader = new WireReader(example);
  const features: [string, DecodeFeature][] = [];
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    const map = reader.message();
    while (map.next()) {
      if (map.field === 1) {
        const [name, feature = Buffer.alloc(0)] = readMapEntry(map.message(), (value) => value.rest());
        push(features, [name, decodeFeature(feature)], 'features in one example');
      } else map.skip();
    }
  }
  return features;
}

/** Reads examples, each with the features that they share. @throws SlipwayError INVALID_REQUEST */
export function readExamples(examples: readonly Buffer[], context: Buffer | undefined): Example[] {
  const shared = context === undefined ? [] : readFeatures(context);
  return examples.map((example) => new Map([...shared, ...readFeatures(example)]));
}
