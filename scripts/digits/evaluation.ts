import { zipOf } from '../../test/helpers/archives.ts';
import { type Digits, SIDE } from './dataset.ts';

/** An array of bytes in NumPy's format .npy, version 1.0 (numpy.lib.format). */
function npyOf(shape: readonly number[], data: Uint8Array): Buffer {
  const head = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  // The header ends with a line break, and the data begins at a multiple of 64.
  const length = Math.ceil((10 + head.length + 1) / 64) * 64 - 10;
  const start = Buffer.alloc(10);
  start.write('\u0093NUMPY\u0001\u0000', 'latin1');
  start.writeUInt16LE(length, 8);
  return Buffer.concat([start, Buffer.from(`${head.padEnd(length - 1)}\n`), data]);
}

/** All unseen digits as NumPy's npz: `image` [count, 28, 28], grey levels, and `label` [count]. */
export function encodeEvaluation({ images, labels }: Digits): Buffer<ArrayBuffer> {
  return zipOf([
    { name: 'image.npy', content: npyOf([labels.length, SIDE, SIDE], images) },
    { name: 'label.npy', content: npyOf([labels.length], labels) },
  ]);
}
