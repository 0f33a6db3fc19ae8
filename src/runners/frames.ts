import type { Writable } from 'node:stream';

/*
 * A frame between host and runner, little-endian:
 *   u32  length of the whole frame, a multiple of 8
 *   u32  length of the header in bytes
 *   …    header: JSON in UTF-8, padded with zeros to a multiple of 8
 *   …    body: sections of raw bytes, each padded with zeros to a multiple of 8
 * Since everything starts at a multiple of 8, a section can be read in place as a typed array of any element size.
 */

/** Largest frame unless said otherwise: 2 GiB − 1, the largest length that a signed 32-bit number holds. */
export const DEFAULT_MAX_FRAME_BYTES = 2 ** 31 - 1;

/** A header holds names and shapes only. Text mistaken for a frame has a header length far above this. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const PREFIX_BYTES = 8;
const ALIGNMENT = 8;

/**
 * Up to here a frame is copied into one buffer and written by one call; above, its sections are written from where
 * they lie. Measured: below it the calls saved are worth more than the copy, above it the copy's garbage costs more.
 */
const SINGLE_WRITE_BYTES = 16 * 1024;

/** The same when the buffer is used again and again, so that there is no garbage; above it the socket takes no frame whole. */
const SCRATCH_BYTES = 192 * 1024;

const ZEROS = Buffer.alloc(ALIGNMENT);

/** `bytes` rounded up to the next multiple of 8. */
export function alignedBytes(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** One section of a body: its pieces lie one directly behind the other. */
export type Section = readonly Uint8Array[];

/**
 * Memory for frames that is used again once the system has taken them. For streams that have no more use for a chunk once
 * their `writableLength` does not count it, as sockets do.
 */
export interface FrameScratch {
  buffer: Buffer;
}

export function createFrameScratch(): FrameScratch {
  return { buffer: ZEROS };
}

function bytesOf(section: Section): number {
  let total = 0;
  for (const piece of section) total += piece.byteLength;
  return total;
}

function writeHead(target: Buffer, json: string, jsonBytes: number, headBytes: number, totalBytes: number): void {
  target.writeUInt32LE(totalBytes, 0);
  target.writeUInt32LE(jsonBytes, 4);
  target.write(json, PREFIX_BYTES, 'utf8');
  target.fill(0, PREFIX_BYTES + jsonBytes, headBytes);
}

/** A buffer of `bytes`: the scratch when the stream has nothing in it any more. */
function frameBuffer(bytes: number, scratch: FrameScratch | undefined): Buffer {
  if (scratch === undefined) return Buffer.allocUnsafe(bytes);
  if (scratch.buffer.length < bytes) scratch.buffer = Buffer.allocUnsafeSlow(Math.min(SCRATCH_BYTES, 2 * bytes));
  return scratch.buffer.subarray(0, bytes);
}

function writeWhole(
  stream: Writable,
  head: (target: Buffer) => void,
  headBytes: number,
  sections: readonly Section[],
  frame: Buffer,
): void {
  head(frame);
  let offset = headBytes;
  for (const section of sections) {
    for (const piece of section) {
      frame.set(piece, offset);
      offset += piece.byteLength;
    }
    const end = alignedBytes(offset);
    frame.fill(0, offset, end);
    offset = end;
  }
  stream.write(frame);
}

/**
 * Writes one frame. Large sections are not copied: their memory must stay as it is until the stream has written it.
 * @param scratch of this stream, for the frames that are copied.
 * @returns the bytes of the frame.
 * @throws RangeError when the frame is longer than `maxFrameBytes`; nothing is written then.
 */
export function writeFrame(
  stream: Writable,
  header: object,
  sections: readonly Section[],
  maxFrameBytes: number,
  scratch?: FrameScratch,
): number {
  const json = JSON.stringify(header);
  const jsonBytes = Buffer.byteLength(json);
  const headBytes = alignedBytes(PREFIX_BYTES + jsonBytes);
  let totalBytes = headBytes;
  for (const section of sections) totalBytes += alignedBytes(bytesOf(section));
  if (totalBytes > maxFrameBytes || jsonBytes > MAX_HEADER_BYTES) {
    throw new RangeError(`The tensors take ${totalBytes} bytes; a runner takes and gives at most ${maxFrameBytes} at once.`);
  }
  const head = (target: Buffer): void => writeHead(target, json, jsonBytes, headBytes, totalBytes);

  // What a corked or busy stream is given, it keeps for a while.
  const reusable = scratch !== undefined && stream.writableLength === 0 && stream.writableCorked === 0;
  if (totalBytes <= (reusable ? SCRATCH_BYTES : SINGLE_WRITE_BYTES)) {
    writeWhole(stream, head, headBytes, sections, frameBuffer(totalBytes, reusable ? scratch : undefined));
    if (reusable && stream.writableLength > 0) scratch.buffer = ZEROS;
    return totalBytes;
  }

  const headBuffer = Buffer.allocUnsafe(headBytes);
  head(headBuffer);
  stream.cork();
  stream.write(headBuffer);
  for (const section of sections) {
    for (const piece of section) if (piece.byteLength > 0) stream.write(piece);
    const bytes = bytesOf(section);
    const padding = alignedBytes(bytes) - bytes;
    if (padding > 0) stream.write(ZEROS.subarray(0, padding));
  }
  stream.uncork();
  return totalBytes;
}

export interface FrameReaderOptions<Header> {
  readonly maxFrameBytes: number;
  /** Checks a parsed header; throws when it is not one. */
  readonly readHeader: (json: unknown) => Header;
  /** The bytes of the body that a header announces, each section padded; must agree with the frame's length. */
  readonly bodyBytesOf: (header: Header) => number;
  /** The body starts at an address that is a multiple of 8 and belongs to the receiver. */
  readonly onFrame: (header: Header, body: Uint8Array) => void;
}

export interface FrameReader {
  /** Takes the next bytes of the stream, however they are cut. @throws Error when they are not a frame. */
  push(chunk: Buffer): void;
}

/** An announced length in words, for the reason that is shown when a runner is ended over it. */
function lengthFault(totalBytes: number, headerBytes: number, maxFrameBytes: number): string | undefined {
  if (totalBytes > maxFrameBytes) return `a frame of ${totalBytes} bytes is announced, at most ${maxFrameBytes} are allowed`;
  if (totalBytes % ALIGNMENT !== 0) return `a frame of ${totalBytes} bytes is announced, which is no multiple of ${ALIGNMENT}`;
  if (headerBytes > MAX_HEADER_BYTES || alignedBytes(PREFIX_BYTES + headerBytes) > totalBytes) {
    return `a header of ${headerBytes} bytes is announced in a frame of ${totalBytes}`;
  }
  return undefined;
}

/**
 * Cuts a byte stream into frames. Bytes that arrive in one piece are used in place; only a part cut by a chunk's end
 * is copied, once. The memory for a body is taken only after its header was read and agrees with the length, so
 * bytes that are no frame never cause a large allocation.
 */
export function createFrameReader<Header>(options: FrameReaderOptions<Header>): FrameReader {
  const { maxFrameBytes, readHeader, bodyBytesOf, onFrame } = options;
  let chunk: Buffer = ZEROS;
  let offset = 0;
  /** The part under way when a chunk ended inside it. */
  let partial: Buffer | undefined;
  let filled = 0;

  let headerBytes = -1;
  let bodyBytes = 0;
  let header: Header | undefined;

  /** The next `size` bytes of the stream, or undefined when they are not all there yet. */
  function take(size: number): Buffer | undefined {
    const available = chunk.length - offset;
    if (partial === undefined) {
      if (available >= size) {
        offset += size;
        return chunk.subarray(offset - size, offset);
      }
      partial = Buffer.allocUnsafeSlow(size);
      filled = 0;
    }
    const count = Math.min(available, size - filled);
    chunk.copy(partial, filled, offset, offset + count);
    offset += count;
    filled += count;
    if (filled < size) return undefined;
    const complete = partial;
    partial = undefined;
    return complete;
  }

  function readPrefix(prefix: Buffer): void {
    const totalBytes = prefix.readUInt32LE(0);
    headerBytes = prefix.readUInt32LE(4);
    const fault = lengthFault(totalBytes, headerBytes, maxFrameBytes);
    if (fault !== undefined) throw new Error(fault);
    bodyBytes = totalBytes - alignedBytes(PREFIX_BYTES + headerBytes);
  }

  function parseHeader(bytes: Buffer): Header {
    const parsed = readHeader(JSON.parse(bytes.toString('utf8', 0, headerBytes)));
    const announced = bodyBytesOf(parsed);
    if (announced !== bodyBytes) throw new Error(`a frame has ${bodyBytes} bytes of tensors, its header says ${announced}`);
    return parsed;
  }

  /** Reads one part of a frame; false when the chunk has no more. */
  function step(): boolean {
    if (headerBytes === -1) {
      const prefix = take(PREFIX_BYTES);
      if (prefix === undefined) return false;
      readPrefix(prefix);
    }
    if (header === undefined) {
      const bytes = take(alignedBytes(PREFIX_BYTES + headerBytes) - PREFIX_BYTES);
      if (bytes === undefined) return false;
      header = parseHeader(bytes);
    }
    const body = take(bodyBytes);
    if (body === undefined) return false;
    const complete = header;
    headerBytes = -1;
    header = undefined;
    onFrame(complete, body.byteOffset % ALIGNMENT === 0 ? body : new Uint8Array(body));
    return true;
  }

  return {
    push(next) {
      chunk = next;
      offset = 0;
      while (offset < chunk.length && step());
      // A chunk of 64 KiB must not stay in memory because of an idle connection.
      chunk = ZEROS;
      offset = ZEROS.length;
    },
  };
}
