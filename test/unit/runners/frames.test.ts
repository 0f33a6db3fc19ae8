import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignedBytes, createFrameReader, writeFrame } from '../../../src/runners/frames.ts';

interface Header {
  readonly text: string;
  readonly sizes: readonly number[];
}

const MAX = 2 ** 31 - 1;

function bytesOf(write: (stream: PassThrough) => void): Buffer {
  const stream = new PassThrough({ highWaterMark: 64 * 1024 * 1024 });
  write(stream);
  return (stream.read() as Buffer | null) ?? Buffer.alloc(0);
}

function frameOf(text: string, sections: readonly Uint8Array[], max = MAX): Buffer {
  return bytesOf((stream) =>
    writeFrame(
      stream,
      { text, sizes: sections.map((section) => section.byteLength) },
      sections.map((section) => [section]),
      max,
    ),
  );
}

interface Received {
  readonly text: string;
  readonly sections: Uint8Array[];
  readonly offsets: number[];
}

function receiver(maxFrameBytes = MAX): { push(chunk: Buffer): void; received: Received[] } {
  const received: Received[] = [];
  const reader = createFrameReader<Header>({
    maxFrameBytes,
    readHeader: (json) => json as Header,
    bodyBytesOf: ({ sizes }) => sizes.reduce((sum, size) => sum + alignedBytes(size), 0),
    onFrame({ text, sizes }, body) {
      let offset = 0;
      const sections: Uint8Array[] = [];
      const offsets: number[] = [];
      for (const size of sizes) {
        const section = body.subarray(offset, offset + size);
        sections.push(new Uint8Array(section));
        offsets.push(section.byteOffset);
        offset += alignedBytes(size);
      }
      received.push({ text, sections, offsets });
    },
  });
  return { push: (chunk) => reader.push(chunk), received };
}

/** Cuts `bytes` at the given places, each piece in memory of its own and at an odd address. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set([0, ...places.map((place) => place % (bytes.length + 1)), bytes.length])].toSorted((a, b) => a - b);
  return sorted.slice(1).map((end, index) => {
    const piece = bytes.subarray(sorted[index], end);
    const moved = Buffer.allocUnsafeSlow(piece.length + 3).subarray(3);
    piece.copy(moved);
    return moved;
  });
}

describe('frames', () => {
  it('arrive as they were sent, however the stream is cut, each section aligned', () => {
    const frame = fc.record({
      text: fc.string({ unit: 'grapheme' }),
      sections: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), fc.array(fc.nat(2_000), { maxLength: 12 }), (frames, places) => {
        const stream = Buffer.concat(frames.map(({ text, sections }) => frameOf(text, sections)));
        const { push, received } = receiver();
        for (const chunk of cut(stream, places)) push(chunk);
        expect(received.map(({ text, sections }) => ({ text, sections }))).toEqual(frames);
        for (const { offsets } of received) for (const offset of offsets) expect(offset % 8).toBe(0);
      }),
    );
  });

  it('arrive byte by byte', () => {
    const { push, received } = receiver();
    for (const byte of frameOf('slow', [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4)])) push(Buffer.of(byte));
    expect(received).toHaveLength(1);
    expect(received[0]?.sections).toEqual([Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4)]);
  });

  it('have the documented layout', () => {
    const frame = bytesOf((stream) => writeFrame(stream, { a: 1 }, [[Uint8Array.of(9, 8, 7)]], MAX));
    expect([...frame]).toEqual([24, 0, 0, 0, 7, 0, 0, 0, ...Buffer.from('{"a":1}'), 0, 9, 8, 7, 0, 0, 0, 0, 0]);
  });

  it('of many megabytes are written without a copy of their sections', () => {
    const section = new Uint8Array(5_000_003).fill(7);
    const writes: Uint8Array[] = [];
    const stream = { write: (chunk: Uint8Array) => writes.push(chunk), cork() {}, uncork() {} } as unknown as PassThrough;
    const bytes = writeFrame(stream, { text: '', sizes: [section.byteLength] }, [[section]], MAX);
    expect(writes).toContain(section);
    expect(bytes).toBe(writes.reduce((sum, chunk) => sum + chunk.byteLength, 0));
    const { push, received } = receiver();
    for (const chunk of cut(
      Buffer.concat(writes),
      Array.from({ length: 200 }, (_, index) => index * 30_001),
    ))
      push(chunk);
    expect(Buffer.compare(received[0]?.sections[0] ?? Buffer.alloc(0), section)).toBe(0);
  });

  it('over the limit are not written', () => {
    const writes: unknown[] = [];
    const stream = { write: (chunk: unknown) => writes.push(chunk), cork() {}, uncork() {} } as unknown as PassThrough;
    expect(() => writeFrame(stream, {}, [[new Uint8Array(100)]], 64)).toThrow(/at most 64/);
    expect(writes).toEqual([]);
  });
});

describe('bytes that are no frame', () => {
  const frame = frameOf('x', [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)]);

  function changed(change: (bytes: Buffer) => void): Buffer {
    const bytes = Buffer.from(frame);
    change(bytes);
    return bytes;
  }

  it.each<[string, Buffer, RegExp]>([
    ['plain text', Buffer.from('hello world, I am a library that prints'), /announced/],
    ['text whose length would do', Buffer.from('hhhhhhhhhhhhhhhh'), /header of \d+ bytes/],
    ['zeros', Buffer.alloc(64), /header of 0 bytes/],
    ['a frame over the limit', changed((bytes) => bytes.writeUInt32LE(0xffff_fff8, 0)), /4294967288 bytes/],
    ['a length off by one', changed((bytes) => bytes.writeUInt32LE(frame.length + 1, 0)), /multiple of 8/],
    ['a header longer than the frame', changed((bytes) => bytes.writeUInt32LE(frame.length, 4)), /header of/],
    ['a header that is no JSON', changed((bytes) => bytes.write('}', 8)), /JSON/],
    [
      'a body longer than its header says',
      changed((bytes) => bytes.writeUInt32LE(frame.length + 8, 0)),
      /16 bytes of tensors, its header says 8/,
    ],
  ])('are refused: %s', (_name, bytes, message) => {
    const { push, received } = receiver();
    expect(() => push(bytes)).toThrow(message);
    expect(received).toEqual([]);
  });

  it('never cause an allocation as large as the length that they announce', () => {
    const { push } = receiver();
    const before = process.memoryUsage().arrayBuffers;
    const bytes = changed((copy) => copy.writeUInt32LE(2 ** 31 - 8, 0));
    expect(() => push(bytes)).toThrow(/tensors/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  it('are refused, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 512 }), (bytes) => {
        const { push, received } = receiver(1_024);
        let refused = false;
        try {
          push(Buffer.from(bytes));
        } catch {
          refused = true;
        }
        expect(refused || received.length === 0).toBe(true);
      }),
    );
  });
});
