import { FIXED32, LENGTH_DELIMITED, VARINT } from './wire-reader.ts';

/** Bytes that a varint takes at the most. */
const VARINT_ROOM = 10;

/**
 * A writer of the protobuf wire format (protobuf.dev/programming-guides/encoding). For messages that hold tensors: a
 * general encoder wants an ordinary array of each, and takes several times as long.
 */
export class WireWriter {
  #parts: Uint8Array[] = [];
  #length = 0;

  /** The message in pieces; values given as bytes are among them as they are. */
  get parts(): readonly Uint8Array[] {
    return this.#parts;
  }

  get byteLength(): number {
    return this.#length;
  }

  /** The whole message. */
  finish(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#tag(field, LENGTH_DELIMITED).#varint(value.byteLength).#raw(value);
  }

  string(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  /** Whole fields, with their tags. */
  fields(fields: readonly Uint8Array[]): this {
    for (const field of fields) this.#raw(field);
    return this;
  }

  /** A whole number: one that a double holds exactly, or a 64-bit one as a bigint. */
  int(field: number, value: number | bigint): this {
    return this.#tag(field, VARINT).#varint(value);
  }

  /** A number as FP32. */
  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.#tag(field, FIXED32).#raw(bytes);
  }

  message(field: number, value: WireWriter): this {
    this.#tag(field, LENGTH_DELIMITED).#varint(value.#length);
    for (const part of value.#parts) this.#parts.push(part);
    this.#length += value.#length;
    return this;
  }

  /** Varints in one packed field; 64-bit integers as bigints or numbers. */
  packedVarints(field: number, values: ArrayLike<number | bigint>): this {
    let bytes = Buffer.allocUnsafe(values.length * 2 + VARINT_ROOM);
    let at = 0;
    for (let index = 0; index < values.length; index += 1) {
      if (at + VARINT_ROOM > bytes.length) bytes = Buffer.concat([bytes], bytes.length * 2 + VARINT_ROOM);
      at = writeVarint(bytes, at, values[index]!);
    }
    return this.bytes(field, bytes.subarray(0, at));
  }

  #tag(field: number, wireType: number): this {
    return this.#varint(field * 8 + wireType);
  }

  #varint(value: number | bigint): this {
    const bytes = Buffer.allocUnsafe(VARINT_ROOM);
    return this.#raw(bytes.subarray(0, writeVarint(bytes, 0, value)));
  }

  #raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.byteLength;
    return this;
  }
}

/** Writes one varint and returns where it ends. Negative integers take ten bytes, as 64-bit two's complement. */
function writeVarint(bytes: Buffer, start: number, value: number | bigint): number {
  let at = start;
  if (typeof value === 'number' && value >= 0) {
    let rest = value;
    while (rest >= 0x80) {
      bytes[at] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
      at += 1;
    }
    bytes[at] = rest;
    return at + 1;
  }
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 0x80n) {
    bytes[at] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
    at += 1;
  }
  bytes[at] = Number(rest);
  return at + 1;
}
