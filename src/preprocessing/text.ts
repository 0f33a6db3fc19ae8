import { SlipwayError } from '../errors/slipway-error.ts';
import type { TextPreprocessing } from '../packages/manifest.ts';
import type { DType } from '../tensor/dtype.ts';
import type { NamedTensors, Tensor } from '../tensor/tensor.ts';
import { splitText, type Text, type Tokenizer } from './tokenizer.ts';

/** An input of the model that takes ids, masks or token kinds. */
export interface TextInput {
  readonly name: string;
  readonly dtype: DType;
}

function toTensor({ name, dtype }: TextInput, shape: readonly number[], ids: Int32Array): Tensor {
  switch (dtype) {
    case 'INT32':
      return { dtype, shape, data: ids };
    case 'INT64':
      return { dtype, shape, data: BigInt64Array.from(ids, BigInt) };
    case 'FP32':
      return { dtype, shape, data: Float32Array.from(ids) };
    default:
      throw new SlipwayError('INPUT_MISMATCH', `The input "${name}" is of the type ${dtype}, which cannot take token ids.`);
  }
}

/**
 * The tokens of texts that are each to be labelled, as a model of the kind `list` takes them.
 * @throws SlipwayError INVALID_ROW for a text with more of them than the model takes: its end would have no labels
 */
export function tokensToLabel(texts: readonly Text[], { maxLength }: TextPreprocessing): (readonly string[])[] {
  return texts.map((text, index) => {
    const tokens = typeof text === 'string' ? splitText(text, 'list') : text;
    if (tokens.length <= maxLength) return tokens;
    const message = `has ${tokens.length} tokens; the model labels at most ${maxLength}, so send the text in parts`;
    throw new SlipwayError('INVALID_ROW', `inputs[${index}] ${message}.`, { details: [{ path: `inputs[${index}]`, message }] });
  });
}

/**
 * Makes the inputs of a model from texts: token ids, and masks and kinds of tokens where the manifest names inputs for them.
 * @param inputOf the input of a name.
 */
export function preprocessText(
  texts: readonly Text[],
  preprocessing: TextPreprocessing,
  tokenizer: Tokenizer,
  inputOf: (name: string | undefined) => TextInput,
): NamedTensors {
  const { maxLength, truncate, padTo, padId, endOfText, input, attentionMask, tokenTypes } = preprocessing;
  const encoded = texts.map((text) => {
    const ids = tokenizer.encode(text, maxLength, truncate === 'end' ? 'first' : 'last');
    return ids.length === 0 && endOfText !== undefined ? [endOfText] : ids;
  });
  const length = padTo === 'maxLength' ? maxLength : Math.max(1, ...encoded.map((ids) => ids.length));
  const shape = [texts.length, length];
  const ids = new Int32Array(texts.length * length).fill(padId);
  const mask = new Int32Array(texts.length * length);
  for (const [index, own] of encoded.entries()) {
    ids.set(own, index * length);
    mask.fill(1, index * length, index * length + own.length);
  }
  const idInput = inputOf(input);
  const tensors = new Map([[idInput.name, toTensor(idInput, shape, ids)]]);
  if (attentionMask !== undefined) tensors.set(attentionMask, toTensor(inputOf(attentionMask), shape, mask));
  if (tokenTypes !== undefined) tensors.set(tokenTypes, toTensor(inputOf(tokenTypes), shape, new Int32Array(ids.length)));
  return tensors;
}
