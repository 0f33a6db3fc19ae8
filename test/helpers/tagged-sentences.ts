import { readFile } from 'node:fs/promises';

/** A sentence in lower case without its marks, and for each word how it was written. */
export interface TaggedSentence {
  readonly words: readonly string[];
  readonly written: readonly string[];
}

/** Longer ones are left out, so that a model is trained in seconds. */
const MOST_WORDS = 16;
const ENDINGS: Readonly<Record<string, string>> = { ',': 'comma', '.': 'end', '!': 'end', '?': 'end' };

/**
 * Sentences of a novel, taken apart so that a model may learn to write them again: a real task with labels that the text
 * itself gives, `plain`, `capital`, `comma`, `capital-comma` and so on.
 * @param chapters how many, from the first on
 */
export async function taggedSentences(chapters: number): Promise<TaggedSentence[]> {
  const book = await readFile(new URL('../../examples/data/moby-dick.jsonl', import.meta.url), 'utf8');
  return book
    .split('\n')
    .slice(0, chapters)
    .flatMap((line) => (JSON.parse(line) as { text: string }).text.split(/(?<=[.!?])\s+/))
    .map((sentence) => {
      const tokens = sentence.split(/\s+/).filter((token) => /^[A-Za-z]+[,.!?]?$/.test(token));
      const labelOf = (token: string): string => {
        const parts = [/^[A-Z]/.test(token) ? 'capital' : undefined, ENDINGS[token.at(-1)!]].filter((part) => part !== undefined);
        return parts.length === 0 ? 'plain' : parts.join('-');
      };
      return { words: tokens.map((token) => token.replace(/[,.!?]$/, '').toLowerCase()), written: tokens.map(labelOf) };
    })
    .filter(({ words }) => words.length > 2 && words.length <= MOST_WORDS);
}
