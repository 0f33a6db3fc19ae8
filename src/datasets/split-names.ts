import type { Split } from './dataset.ts';

const SPLIT_WORDS: Readonly<Record<string, Split>> = {
  train: 'train',
  training: 'train',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  dev: 'validation',
  test: 'test',
  testing: 'test',
};

/** The split that a folder or a value of a column names. */
export function splitNamed(word: string): Split | undefined {
  const key = word.toLowerCase();
  return Object.hasOwn(SPLIT_WORDS, key) ? SPLIT_WORDS[key] : undefined;
}

/**
 * The split that a file or an array names as a word of its name, and the rest of the name: `x_train` is `x` for training.
 * MNIST's `t10k` is for testing.
 */
export function splitInName(name: string): { readonly split: Split; readonly rest: string } | undefined {
  const words = name.split(/[-_. ]/);
  const place = words.findIndex((word) => word.toLowerCase() === 't10k' || splitNamed(word) !== undefined);
  if (place < 0) return undefined;
  const split = splitNamed(words[place]!) ?? 'test';
  return { split, rest: words.filter((_word, index) => index !== place).join('_') };
}
