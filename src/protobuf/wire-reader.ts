import { SlipwayError } from '../errors/slipway-error.ts';

/** Wire types of the protobuf encoding. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

/**
 * A reader of the protobuf wire format (protobuf.dev/programming-guides/encoding). For messages whose size clients
 * choose: a general decoder makes an object of each element, which can take fifty times the bytes of the message before
 * anyone has looked at it.
 *
 * Use: `while (reader.next()) switch (reader.field) …`, where each field is read by its kind or skipped.
 * All methods throw SlipwayError INVALID_REQUEST when the bytes are not of the format.
 */
export class WireReader {
  readonly #bytes: Buffer;
  #offset = 0;
  /** Where the field begins that `next` has come to, with its tag. */
  #start = 0;
  /** Number and wire type of the field that `next` has come to. */
  field = 0;
  wireType = 0;
  /** The two 32-bit words of the varint that was read last. */
  low = 0;
  high = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** Goes to the next field; false at the end of the message. */
  next(): boolean {
    if (this.atEnd) return false;
    this.#start = this.#offset;
    this.readVarint();
    this.field = this.low >>> 3;
    this.wireType = this.low & 7;
    if (this.field === 0 || this.high !== 0) throw malformed('it has a field without a number');
    return true;
  }

  /** Reads a varint into `low` and `high`. */
  readVarint(): void {
    const bytes = this.#bytes;
    let byte = bytes[this.#offset]!;
    // Most are one byte: tags, flags, small lengths and sizes.
    if (byte < 0x80) {
      this.#offset += 1;
      this.low = byte;
      this.high = 0;
      return;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#offset === bytes.length) throw malformed('it ends inside a number');
      byte = bytes[this.#offset]!;
      this.#offset += 1;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.low = low;
        this.high = high;
        return;
      }
    }
    throw malformed('it has a number of more than ten bytes');
  }

  /** The bytes of a string, bytes, message or packed field; a view. */
  bytes(): Buffer {
    this.expect(LENGTH_DELIMITED);
    this.readVarint();
    const length = this.low >>> 0;
    return this.take(this.high === 0 ? length : Number.POSITIVE_INFINITY);
  }

  string(): string {
    return this.bytes().toString('utf8');
  }

  /** A reader of the message in this field. */
  message(): WireReader {
    return new WireReader(this.bytes());
  }

  bool(): boolean {
    this.expect(VARINT);
    this.readVarint();
    return (this.low | this.high) !== 0;
  }

  /** A signed 64-bit integer; a bigint beyond 2^53. */
  int64(): number | bigint {
    this.expect(VARINT);
    return this.packedInt64();
  }

  /** The next signed integer in the content of a packed field, which is read as a message. */
  packedInt64(): number | bigint {
    this.readVarint();
    const value = this.number();
    return Number.isSafeInteger(value) ? value : BigInt.asIntN(64, this.#big());
  }

  /** An unsigned 64-bit integer; a bigint beyond 2^53. */
  uint64(): number | bigint {
    this.expect(VARINT);
    this.readVarint();
    const value = (this.high >>> 0) * 2 ** 32 + (this.low >>> 0);
    return Number.isSafeInteger(value) ? value : BigInt.asUintN(64, this.#big());
  }

  double(): number {
    this.expect(FIXED64);
    return this.take(8).readDoubleLE();
  }

  /** The varint that was read last as a signed integer; beyond 2^53 a double close to it. */
  number(): number {
    return this.high * 2 ** 32 + (this.low >>> 0);
  }

  /** A 32-bit float. */
  float(): number {
    this.expect(FIXED32);
    return this.take(4).readFloatLE();
  }

  /** The field as it lies in the message, with its tag; a view. Goes past it. */
  whole(): Buffer {
    this.skip();
    return this.#bytes.subarray(this.#start, this.#offset);
  }

  /** Goes past a field that is of no interest. */
  skip(): void {
    if (this.wireType === VARINT) this.readVarint();
    else if (this.wireType === LENGTH_DELIMITED) this.bytes();
    else this.take(this.#fixedBytes());
  }

  /** All bytes that are left; a view. */
  rest(): Buffer {
    return this.take(this.#bytes.length - this.#offset);
  }

  /** The next `size` bytes; a view. */
  take(size: number): Buffer {
    if (size > this.#bytes.length - this.#offset) throw malformed(`it ends inside a field`);
    this.#offset += size;
    return this.#bytes.subarray(this.#offset - size, this.#offset);
  }

  expect(wireType: number): void {
    if (this.wireType !== wireType) throw malformed(`its field ${this.field} has the wire type ${this.wireType} in place of ${wireType}`);
  }

  #fixedBytes(): number {
    if (this.wireType === FIXED32) return 4;
    if (this.wireType === FIXED64) return 8;
    throw malformed(`its field ${this.field} has the wire type ${this.wireType}, which does not exist`);
  }

  #big(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }
}

function malformed(problem: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', `The message is malformed: ${problem}.`);
}
