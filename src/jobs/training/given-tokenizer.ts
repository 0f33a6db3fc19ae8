import { createHash } from 'node:crypto';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import { createTokenizer } from '../../preprocessing/tokenizer.ts';
import type { TrainSpec } from './spec.ts';

/** The text of the tokenizer.json in a spec; undefined when none is given. */
export function givenTokenizer({ text }: TrainSpec): string | undefined {
  const { tokenizer } = text ?? {};
  if (typeof tokenizer !== 'object') return undefined;
  return typeof tokenizer.json === 'string' ? tokenizer.json : JSON.stringify(tokenizer.json);
}

/** Whether the tokenizer that a spec gives can be read. @throws SlipwayError INVALID_REQUEST */
export async function checkTokenizer(spec: TrainSpec): Promise<void> {
  const json = givenTokenizer(spec);
  if (json === undefined) return;
  const path = 'text.tokenizer.json';
  try {
    await createTokenizer({ kind: 'file', file: path, firstId: 1, specialTokens: true }, async () => json);
  } catch (error) {
    const message = messageOf(error);
    throw new SlipwayError('INVALID_REQUEST', message, { details: [{ path, message }], cause: error });
  }
}

/** The spec for the lineage: a tokenizer that was given, which the version has as a file, is told by its digest. */
export function specForLineage(spec: TrainSpec): object {
  const json = givenTokenizer(spec);
  if (json === undefined) return spec;
  return { ...spec, text: { ...spec.text, tokenizer: { sha256: createHash('sha256').update(json).digest('hex') } } };
}
