import { buffer } from 'node:stream/consumers';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';

export type Files = Readonly<Record<string, Buffer | string>>;

/** A tar of these files. */
export async function tarOf(files: Files): Promise<Buffer> {
  return tarOfEntries(Object.entries(files).map(([name, content]) => [{ name }, content]));
}

/** A tar of entries with any header; `pack` writes what it is told. */
export async function tarOfEntries(
  entries: readonly (readonly [header: Partial<Header> & { name: string }, content?: Buffer | string])[],
): Promise<Buffer> {
  const archive = pack();
  for (const [header, content] of entries) {
    if (content === undefined) archive.entry(header);
    else archive.entry(header, content);
  }
  archive.finalize();
  return buffer(archive);
}

export async function tarGzOf(files: Files): Promise<Buffer> {
  return gzipSync(await tarOf(files));
}

export interface ZipEntry {
  readonly name: string;
  readonly content: Buffer | string;
  /** Unix mode in the external attributes, e.g. 0o120777 for a symbolic link. */
  readonly mode?: number;
  /** General-purpose bits; bit 0 says that the entry is encrypted. */
  readonly flags?: number;
  /** The size that the archive states, when it lies. */
  readonly statedSize?: number;
  /** The CRC-32 that the archive states, when it lies. */
  readonly statedChecksum?: number;
}

/** A zip written by hand (APPNOTE.TXT 4.3): local headers, the central directory, its end. */
export function zipOf(entries: readonly ZipEntry[]): Buffer<ArrayBuffer> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, mode = 0o100644, flags = 0, statedSize, statedChecksum } of entries) {
    const bytes = Buffer.from(content);
    const packed = deflateRawSync(bytes);
    const nameBytes = Buffer.from(name);
    const size = statedSize ?? bytes.length;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0); // version needed
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(8, 4); // deflate
    common.writeUInt32LE(statedChecksum ?? crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(nameBytes.length, 22);
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, nameBytes, packed]);
    const attributes = Buffer.alloc(14);
    attributes.writeUInt32LE((mode << 16) >>> 0, 6);
    attributes.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\u0001\u0002'), Buffer.from([20, 3]), common, attributes, nameBytes);
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, central, Buffer.from('PK\u0005\u0006'), end]);
}
