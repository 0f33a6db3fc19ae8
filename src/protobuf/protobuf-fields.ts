/** Bytes that can be read from any position; a file or a buffer. */
export interface ByteSource {
  /** At least one byte from `position` on; empty at the end. */
  bytesAt(position: number): Uint8Array;
}

/** One field of a protobuf message. `value` is set for varints; for length-delimited fields `start` and `end` bound the payload. */
export interface ProtobufField {
  readonly number: number;
  readonly wireType: number;
  readonly value: number | undefined;
  readonly start: number;
  readonly end: number;
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

function readVarint(source: ByteSource, position: number): { value: number; next: number } {
  let value = 0;
  let factor = 1;
  for (let next = position; next < position + 10; next += 1) {
    const byte = source.bytesAt(next)[0];
    if (byte === undefined) throw new Error('the file ends inside a field');
    // Multiplication, because shifts are limited to 32 bits; above 2^53 precision does not matter to any reader here.
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return { value, next: next + 1 };
    factor *= 128;
  }
  throw new Error('a number is too long');
}

/**
 * Walks the fields of the message in `[start, end)` without reading payloads, so that gigabytes of weights cost nothing.
 * Format: https://protobuf.dev/programming-guides/encoding.
 * @throws Error when the bytes are no protobuf message.
 */
export function* protobufFields(source: ByteSource, start: number, end: number): Generator<ProtobufField> {
  let position = start;
  while (position < end) {
    const tag = readVarint(source, position);
    const number = Math.floor(tag.value / 8);
    const wireType = tag.value % 8;
    let payload = tag.next;
    let next: number;
    let value: number | undefined;
    if (wireType === VARINT) ({ value, next } = readVarint(source, payload));
    else if (wireType === FIXED_64) next = payload + 8;
    else if (wireType === FIXED_32) next = payload + 4;
    else if (wireType === LENGTH_DELIMITED) {
      const length = readVarint(source, payload);
      payload = length.next;
      next = payload + length.value;
    } else throw new Error(`field ${number} has the unknown wire type ${wireType}`);
    if (next > end) throw new Error('a field runs over the end of its message');
    yield { number, wireType, value, start: payload, end: next };
    position = next;
  }
}
