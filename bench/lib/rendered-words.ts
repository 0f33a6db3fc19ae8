import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { createRandom } from '../../src/datasets/random.ts';
import type { NamedTensors } from '../../src/tensor/tensor.ts';
import { ROOT } from './digits.ts';

const require = createRequire(import.meta.url);
const FONTS = join(dirname(require.resolve('dejavu-fonts-ttf/package.json')), 'ttf');

const FACES = [
  ['DejaVu Sans', 'DejaVuSans.ttf'],
  ['DejaVu Serif', 'DejaVuSerif.ttf'],
  ['DejaVu Sans Mono', 'DejaVuSansMono.ttf'],
  ['DejaVu Sans Bold', 'DejaVuSans-Bold.ttf'],
  ['DejaVu Serif Italic', 'DejaVuSerif-Italic.ttf'],
] as const;

const HEIGHT = 48;
const WIDTH = 320;
const MARGIN = 6;

/** A word and its picture as the network takes it: dark on light, FP32 −1 to 1, on the left of 48 × 320. */
export interface RenderedWord {
  readonly text: string;
  readonly pixels: Float32Array;
}

/** Words of a novel, each rendered in one of five faces, made small and large again, and with noise: as from a bad scan. */
export async function renderedWords(count: number, seed: number): Promise<RenderedWord[]> {
  const novel = readFileSync(join(ROOT, 'examples/data/moby-dick.jsonl'), 'utf8').replaceAll(/\\n/g, ' ');
  const words = [...new Set(novel.match(/\b[A-Za-z]{4,12}\b/g))];
  const random = createRandom(seed);
  const result: RenderedWord[] = [];
  for (let index = 0; index < count; index += 1) {
    const text = words[Math.floor(random() * words.length)]!;
    const [font, file] = FACES[index % FACES.length]!;
    const sharpText = { text, font, fontfile: join(FONTS, file), dpi: 60 + Math.floor(random() * 40) };
    const drawn = await sharp({ text: sharpText }).toColourspace('b-w').png().toBuffer();
    const small = await sharp(drawn)
      .resize({ height: 10 + Math.floor(random() * 14) })
      .png()
      .toBuffer();
    const edges = { top: MARGIN, bottom: MARGIN, left: MARGIN, right: MARGIN, background: 'black' };
    const { data, info } = await sharp(small)
      .resize({ width: WIDTH - 2 * MARGIN, height: HEIGHT - 2 * MARGIN, fit: 'inside' })
      .extend(edges)
      .removeAlpha()
      .extractChannel(0)
      .raw()
      .toBuffer({ resolveWithObject: true });
    const noise = random() * 30;
    const pixels = new Float32Array(HEIGHT * WIDTH);
    for (let y = 0; y < HEIGHT; y += 1) {
      for (let x = 0; x < info.width; x += 1) {
        const ink = y < info.height ? data[y * info.width + x]! : 0;
        const level = 235 - 0.8 * ink + (random() - 0.5) * noise;
        pixels[y * WIDTH + x] = Math.min(255, Math.max(0, level)) / 127.5 - 1;
      }
    }
    result.push({ text, pixels });
  }
  return result;
}

/** Words as the input of the network: [count, 3, 48, 320], three equal channels. */
export function wordTensors(input: string, words: readonly RenderedWord[]): NamedTensors {
  const size = HEIGHT * WIDTH;
  const data = new Float32Array(words.length * 3 * size);
  for (const [index, { pixels }] of words.entries()) {
    for (let channel = 0; channel < 3; channel += 1) data.set(pixels, (index * 3 + channel) * size);
  }
  return new Map([[input, { dtype: 'FP32', shape: [words.length, 3, HEIGHT, WIDTH], data }]]);
}

/** Least insertions, deletions and changes of characters that make one text of the other. */
export function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_cost, at) => at);
  for (const [at, character] of Array.from(one).entries()) {
    const next = [at + 1];
    for (let column = 1; column <= other.length; column += 1) {
      const change = row[column - 1]! + (other[column - 1] === character ? 0 : 1);
      next.push(Math.min(change, row[column]! + 1, next[column - 1]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}
