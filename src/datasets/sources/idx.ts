import { SlipwayError } from '../../errors/slipway-error.ts';
import { elementsOf } from '../records/layout.ts';
import type { Source, SourceColumn, SourceFile, Value } from '../source.ts';
import { readContent, readHead } from './file-bytes.ts';

/*
 * IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist): two zero bytes, the element type, the number of
 * dimensions, each dimension as a 32-bit integer, then the elements; all big-endian.
 */

const UINT8 = 0x08;
const GROUP_BYTES = 1024 * 1024;

interface IdxFile extends SourceFile {
  readonly shape: readonly number[];
}

export function isIdx(head: Buffer): boolean {
  return head.length >= 4 && head[0] === 0 && head[1] === 0 && head[2]! >= 0x08 && head[2]! <= 0x0e && head[3]! >= 1 && head[3]! <= 8;
}

async function readHeader(file: SourceFile): Promise<IdxFile> {
  const head = await readHead(file.path, 4 + 8 * 4);
  if (!isIdx(head)) throw new SlipwayError('INVALID_DATASET', `${file.name} is not an IDX file.`);
  if (head[2] !== UINT8) {
    throw new SlipwayError(
      'INVALID_DATASET',
      `${file.name} has elements of the type 0x${head[2]!.toString(16)}; unsigned bytes (0x08) are read.`,
    );
  }
  const rank = head[3]!;
  if (head.length < 4 + rank * 4) throw new SlipwayError('INVALID_DATASET', `${file.name} ends in its header.`);
  return { ...file, shape: Array.from({ length: rank }, (_size, axis) => head.readUInt32BE(4 + axis * 4)) };
}

/** Pieces of a fixed size of a stream, the last one smaller. */
async function* pieces(content: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of content) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (; rest.length - start >= size; start += size) yield rest.subarray(start, start + size);
    rest = rest.subarray(start);
  }
  if (rest.length > 0) yield rest;
}

/** The rows of a file, many at a time: `count` of them, one behind the other. */
async function* readRows(file: IdxFile, rowBytes: number, groupRows: number): AsyncGenerator<Buffer> {
  const content = await readContent(file.path);
  let header = 4 + file.shape.length * 4;
  async function* body(): AsyncGenerator<Buffer> {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      const skipped = Math.min(header, chunk.length);
      header -= skipped;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
  }
  const wanted = file.shape[0]! * rowBytes;
  let seen = 0;
  for await (const piece of pieces(body(), rowBytes * groupRows)) {
    seen += piece.length;
    if (seen > wanted || piece.length % rowBytes !== 0) break;
    yield piece;
  }
  if (seen !== wanted) {
    throw new SlipwayError(
      'INVALID_DATASET',
      `${file.name} states ${file.shape.join('×')} = ${wanted} bytes of data but has ${seen > wanted ? 'more' : `only ${seen}`}.`,
    );
  }
}

/** Which images and which labels belong together: MNIST's names differ before the word for what is inside. */
function stemOf({ name }: SourceFile): string {
  return name
    .slice(name.lastIndexOf('/') + 1)
    .toLowerCase()
    .replace(/[-_.]?(images?|labels?|idx\d).*$/, '');
}

function splitOf(stem: string): string | undefined {
  if (/train/.test(stem)) return 'train';
  if (/valid|(^|[-_.])(val|dev)/.test(stem)) return 'validation';
  return /test|t10k/.test(stem) ? 'test' : undefined;
}

interface Part {
  readonly data: IdxFile;
  readonly labels: IdxFile | undefined;
  readonly split: string | undefined;
}

function pairUp(files: readonly IdxFile[]): Part[] {
  const data = files.filter(({ shape }) => shape.length > 1);
  const labels = new Set(files.filter(({ shape }) => shape.length === 1));
  const [first] = data;
  if (first === undefined)
    throw new SlipwayError('INVALID_DATASET', 'There is no IDX file of more than one dimension: labels alone are no data.');
  const parts = data.map((file): Part => {
    const fitting = [...labels].filter((each) => data.length === 1 || stemOf(each) === stemOf(file));
    const own = fitting.length === 1 ? fitting[0] : undefined;
    if (own !== undefined) labels.delete(own);
    if (own !== undefined && own.shape[0] !== file.shape[0]) {
      throw new SlipwayError('INVALID_DATASET', `${file.name} has ${file.shape[0]} rows, its labels in ${own.name} are ${own.shape[0]}.`);
    }
    if (file.shape.slice(1).join() !== first.shape.slice(1).join()) {
      throw new SlipwayError(
        'INVALID_DATASET',
        `The rows of ${file.name} are ${file.shape.slice(1).join('×')}, those of ${first.name} ${first.shape.slice(1).join('×')}.`,
      );
    }
    return { data: file, labels: own, split: data.length > 1 ? splitOf(stemOf(file)) : undefined };
  });
  const [left] = labels;
  if (left !== undefined) throw new SlipwayError('INVALID_DATASET', `${left.name}: there are no rows that these labels belong to.`);
  if (parts.some((part) => part.labels === undefined) && parts.some((part) => part.labels !== undefined)) {
    const bare = parts.find((part) => part.labels === undefined)!;
    throw new SlipwayError('INVALID_DATASET', `${bare.data.name} has no labels beside it, though others have.`);
  }
  return parts;
}

/** Images, or vectors, and their labels, in the format of MNIST; several pairs of files are the splits that their names say. */
export async function createIdxSource(files: readonly SourceFile[]): Promise<Source> {
  const parts = pairUp(await Promise.all(files.map(readHeader)));
  const shape = parts[0]!.data.shape.slice(1);
  const isImage = shape.length === 2 || (shape.length === 3 && (shape[2] === 1 || shape[2] === 3));
  const hasLabels = parts[0]!.labels !== undefined;
  const hasSplits = parts.every(({ split }) => split !== undefined);
  const columns: SourceColumn[] = [
    {
      name: isImage ? 'image' : 'vector',
      kind: 'array',
      dtype: 'uint8',
      shape: isImage && shape.length === 2 ? [...shape, 1] : shape,
      isImage,
    },
    ...(hasLabels ? [{ name: 'label', kind: 'value' } as const] : []),
    ...(hasSplits ? [{ name: 'split', kind: 'label', isSplit: true } as const] : []),
  ];
  const rowBytes = elementsOf(shape);
  const groupRows = Math.max(1, Math.floor(GROUP_BYTES / rowBytes));

  return {
    format: 'idx',
    async *rows() {
      for (const { data, labels, split } of parts) {
        const labelGroups = labels === undefined ? undefined : readRows(labels, 1, groupRows);
        let before = 0;
        for await (const group of readRows(data, rowBytes, groupRows)) {
          const next = await labelGroups?.next();
          const labelsOfGroup = next?.value as Buffer | undefined;
          const first = before;
          const rows: Value[][] = [];
          for (let start = 0; start < group.length; start += rowBytes) {
            const row: Value[] = [group.subarray(start, start + rowBytes)];
            if (hasLabels) row.push(labelsOfGroup?.[rows.length]);
            if (hasSplits) row.push(split);
            rows.push(row);
          }
          before += rows.length;
          yield { columns, rows, place: (index) => `row ${first + index + 1} of ${data.name}` };
        }
        await labelGroups?.next(); // so that labels that are too many are found
      }
    },
  };
}
