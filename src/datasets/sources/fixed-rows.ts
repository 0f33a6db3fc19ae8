import { SlipwayError } from '../../errors/slipway-error.ts';

/** Rows of a fixed size are handed on in groups of about this many bytes. */
const GROUP_BYTES = 1024 * 1024;

/** How many rows make a group. */
export function groupRowsOf(rowBytes: number): number {
  return Math.max(1, Math.floor(GROUP_BYTES / Math.max(1, rowBytes)));
}

export interface FixedRows {
  /** Of the file, for messages. */
  readonly name: string;
  readonly content: AsyncIterable<Buffer>;
  /** In front of the rows. */
  readonly headerBytes: number;
  readonly rows: number;
  readonly rowBytes: number;
  /** Rows of a group; the last one has fewer. */
  readonly groupRows: number;
}

/** Pieces of a fixed size, the last one smaller. */
async function* pieces(content: AsyncIterable<Buffer>, headerBytes: number, size: number): AsyncGenerator<Buffer> {
  let header = headerBytes;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of content) {
    const skipped = Math.min(header, chunk.length);
    header -= skipped;
    const body = chunk.subarray(skipped);
    rest = rest.length === 0 ? body : Buffer.concat([rest, body]);
    let start = 0;
    for (; rest.length - start >= size; start += size) yield rest.subarray(start, start + size);
    rest = rest.subarray(start);
  }
  if (rest.length > 0) yield rest;
}

/**
 * Groups of rows that lie one behind the other in a file.
 * @throws SlipwayError INVALID_DATASET when the file has fewer bytes than its header states, or more.
 */
export async function* readFixedRows({ name, content, headerBytes, rows, rowBytes, groupRows }: FixedRows): AsyncGenerator<Buffer> {
  const stated = rows * rowBytes;
  let seen = 0;
  for await (const piece of pieces(content, headerBytes, rowBytes * groupRows)) {
    seen += piece.length;
    if (seen > stated || piece.length % rowBytes !== 0) break;
    yield piece;
  }
  if (seen === stated) return;
  const found = seen > stated ? 'more' : `only ${seen}`;
  throw new SlipwayError('INVALID_DATASET', `${name} states ${rows} rows of ${rowBytes} bytes but has ${found} bytes of data.`);
}
