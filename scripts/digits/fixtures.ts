import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { CLASSES, type Digits, PIXELS, SIDE } from './dataset.ts';

const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** Unseen digits of each class that tests check. */
const SAMPLE_PER_CLASS = 20;

/** The first unseen digit of each class as a grey PNG, by file name: `seven.png`. Not chosen by what the model says. */
export async function encodeImages({ images, labels }: Digits): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (let digit = 0; digit < CLASSES; digit += 1) {
    const start = labels.indexOf(digit) * PIXELS;
    const raw = { width: SIDE, height: SIDE, channels: 1 } as const;
    files.set(
      `${WORDS[digit]}.png`,
      await sharp(images.subarray(start, start + PIXELS), { raw })
        .png()
        .toBuffer(),
    );
  }
  return files;
}

/** The first unseen digits of each class, gzipped: for each a byte with its label, then its 784 grey levels. */
export function encodeSample({ images, labels }: Digits): Buffer {
  const records: Buffer[] = [];
  for (let digit = 0; digit < CLASSES; digit += 1) {
    let taken = 0;
    for (const [index, label] of labels.entries()) {
      if (label !== digit || taken === SAMPLE_PER_CLASS) continue;
      records.push(Buffer.of(label), Buffer.from(images.subarray(index * PIXELS, (index + 1) * PIXELS)));
      taken += 1;
    }
  }
  return gzipSync(Buffer.concat(records), { level: 9 });
}
