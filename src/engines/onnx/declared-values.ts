import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { elementTypeName } from './element-types.ts';
import { type ByteSource, protobufFields } from '../../protobuf/protobuf-fields.ts';

/** An input or output as the ONNX file itself declares it. */
export interface DeclaredValue {
  readonly name: string;
  /** In words: `float32`, `bfloat16`, `sequence`, `map`, … */
  readonly type: string;
  /** False when the file leaves the rank open. */
  readonly hasShape: boolean;
}

export interface DeclaredValues {
  readonly inputs: readonly DeclaredValue[];
  readonly outputs: readonly DeclaredValue[];
}

/** Field numbers of onnx.proto. */
const MODEL_GRAPH = 7;
const GRAPH_INPUT = 11;
const GRAPH_OUTPUT = 12;
const VALUE_NAME = 1;
const VALUE_TYPE = 2;
const TENSOR_TYPE = 1;
const ELEMENT_TYPE = 1;
const SHAPE = 2;

/** The alternatives of TypeProto that are no dense tensor. */
const NON_TENSOR_TYPES: Readonly<Record<number, string>> = { 4: 'sequence', 5: 'map', 7: 'opaque', 8: 'sparse tensor', 9: 'optional' };

const WINDOW_BYTES = 64 * 1024;

function fileSource(descriptor: number): ByteSource {
  const window = Buffer.alloc(WINDOW_BYTES);
  let start = 0;
  let length = 0;
  return {
    bytesAt(position) {
      if (position < start || position >= start + length) {
        start = position;
        length = readSync(descriptor, window, 0, WINDOW_BYTES, position);
      }
      return window.subarray(position - start, length);
    },
  };
}

function textOf(source: ByteSource, start: number, end: number): string {
  const bytes = Buffer.alloc(end - start);
  for (let done = 0; done < bytes.length;) {
    const part = source.bytesAt(start + done).subarray(0, bytes.length - done);
    if (part.length === 0) break;
    bytes.set(part, done);
    done += part.length;
  }
  return bytes.toString('utf8');
}

function readType(source: ByteSource, start: number, end: number): Omit<DeclaredValue, 'name'> {
  for (const field of protobufFields(source, start, end)) {
    if (field.number === TENSOR_TYPE) {
      let elementType = 0;
      let hasShape = false;
      for (const part of protobufFields(source, field.start, field.end)) {
        if (part.number === ELEMENT_TYPE) elementType = part.value ?? 0;
        else if (part.number === SHAPE) hasShape = true;
      }
      return { type: elementTypeName(elementType), hasShape };
    }
    const type = NON_TENSOR_TYPES[field.number];
    if (type !== undefined) return { type, hasShape: false };
  }
  return { type: 'unknown', hasShape: false };
}

function readValue(source: ByteSource, start: number, end: number): DeclaredValue {
  let name = '';
  let type: Omit<DeclaredValue, 'name'> = { type: 'unknown', hasShape: false };
  for (const field of protobufFields(source, start, end)) {
    if (field.number === VALUE_NAME) name = textOf(source, field.start, field.end);
    else if (field.number === VALUE_TYPE) type = readType(source, field.start, field.end);
  }
  return { name, ...type };
}

/**
 * Reads the declared inputs and outputs of an ONNX file. ONNX Runtime's Node binding does not tell a scalar from an
 * unknown rank, nor which value has a type that it cannot carry; the file does.
 * @throws Error when the file is no ONNX model.
 */
export function readDeclaredValues(file: string): DeclaredValues {
  const descriptor = openSync(file, 'r');
  try {
    const source = fileSource(descriptor);
    const inputs: DeclaredValue[] = [];
    const outputs: DeclaredValue[] = [];
    for (const field of protobufFields(source, 0, fstatSync(descriptor).size)) {
      if (field.number !== MODEL_GRAPH) continue;
      for (const part of protobufFields(source, field.start, field.end)) {
        if (part.number === GRAPH_INPUT) inputs.push(readValue(source, part.start, part.end));
        else if (part.number === GRAPH_OUTPUT) outputs.push(readValue(source, part.start, part.end));
      }
    }
    return { inputs, outputs };
  } finally {
    closeSync(descriptor);
  }
}
