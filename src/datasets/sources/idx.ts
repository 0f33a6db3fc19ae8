import { SlipwayError } from '../../errors/slipway-error.ts';
import { elementsOf } from '../records/layout.ts';
import type { Source, SourceColumn, SourceFile } from '../source.ts';
import { splitInName } from '../split-names.ts';
import { createArraySource, type SourceArray } from './array-source.ts';
import { readContent, readHead } from './file-bytes.ts';
import { imageShapeOf } from './image-shape.ts';

/*
 * IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist): two zero bytes, the element type, the number of
 * dimensions, each dimension as a 32-bit integer, then the elements; all big-endian.
 */

const UINT8 = 0x08;
const MAX_RANK = 8;

export function isIdx(head: Buffer): boolean {
  return (
    head.length >= 4 && head[0] === 0 && head[1] === 0 && head[2]! >= 0x08 && head[2]! <= 0x0e && head[3]! >= 1 && head[3]! <= MAX_RANK
  );
}

async function readShape(file: SourceFile): Promise<number[]> {
  const head = await readHead(file.path, 4 + MAX_RANK * 4);
  if (!isIdx(head)) throw new SlipwayError('INVALID_DATASET', `${file.name} is not an IDX file.`);
  if (head[2] !== UINT8) {
    const type = `0x${head[2]!.toString(16)}`;
    throw new SlipwayError('INVALID_DATASET', `${file.name} has elements of the type ${type}; unsigned bytes (0x08) are read.`);
  }
  const rank = head[3]!;
  if (head.length < 4 + rank * 4) throw new SlipwayError('INVALID_DATASET', `${file.name} ends in its header.`);
  return Array.from({ length: rank }, (_size, axis) => head.readUInt32BE(4 + axis * 4));
}

function dataColumn(shape: readonly number[]): SourceColumn {
  const image = imageShapeOf(shape);
  if (image === undefined) return { name: 'vector', kind: 'array', dtype: 'uint8', shape };
  return { name: 'image', kind: 'array', dtype: 'uint8', shape: image, isImage: true };
}

/** Images, or vectors, and their labels, in the format of MNIST; several pairs of files are the splits that their names say. */
export async function createIdxSource(files: readonly SourceFile[]): Promise<Source> {
  const shapes = await Promise.all(files.map(readShape));
  const dataFiles = shapes.filter(({ length }) => length > 1).length;
  if (dataFiles === 0) {
    throw new SlipwayError('INVALID_DATASET', 'There is no IDX file of more than one dimension: labels alone are no data.');
  }
  const arrays = files.map((file, index): SourceArray => {
    const [rows = 0, ...shape] = shapes[index]!;
    const rowBytes = elementsOf(shape);
    return {
      name: file.name,
      column: shape.length === 0 ? { name: 'label', kind: 'value' } : dataColumn(shape),
      // One pair is the whole, whatever it is called.
      split: dataFiles > 1 ? splitInName(file.name.slice(file.name.lastIndexOf('/') + 1))?.split : undefined,
      rows,
      rowBytes,
      headerBytes: 4 + (shape.length + 1) * 4,
      open: async () => readContent(file.path),
      decode: (group) =>
        shape.length === 0
          ? [...group]
          : Array.from({ length: group.length / rowBytes }, (_row, row) => group.subarray(row * rowBytes, (row + 1) * rowBytes)),
    };
  });
  // Data before labels, in whatever order the files came.
  return createArraySource(
    'idx',
    arrays.toSorted((a, b) => Number(a.column.kind === 'value') - Number(b.column.kind === 'value')),
  );
}
