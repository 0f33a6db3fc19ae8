import type { InferenceResponse } from '../../inference/types.ts';
import type { Classification } from '../../packages/manifest.ts';
import { type ClassProbability, classify, type Prediction } from '../../preprocessing/classification.ts';
import type { DType } from '../../tensor/dtype.ts';
import { encodeJsonNumber, encodeJsonTensor } from '../../tensor/json-encode.ts';
import type { RouteAnswer } from '../http/route.ts';

/** A probability has the digits of the scores that it was made from, so that it reads as the same number in `outputs`. */
function classText({ label, probability }: ClassProbability, dtype: DType): string {
  return `"label":${JSON.stringify(label)},"probability":${encodeJsonNumber(probability, dtype === 'FP32' ? 'FP32' : 'FP64')}`;
}

/** The likeliest class is the first of the likeliest ones. @param token what it is the class of, where it is not the example */
function predictionText({ top }: Prediction, dtype: DType, token?: string): string {
  const first = classText(top[0]!, dtype);
  let texts = `{${first}}`;
  for (let index = 1; index < top.length; index += 1) texts += `,{${classText(top[index]!, dtype)}}`;
  return `{${token === undefined ? '' : `"token":${JSON.stringify(token)},`}${first},"top":[${texts}]}`;
}

/** @param texts the tokens of each example, of a classifier of tokens; without them there is a prediction for each step of the output */
function predictionsText(
  response: InferenceResponse,
  classification: Classification | undefined,
  texts: readonly (readonly string[])[] | undefined,
): string {
  if (classification === undefined) return '';
  const [firstName] = response.outputs.keys();
  const scores = response.outputs.get(classification.output ?? firstName ?? '');
  // A client that asked for other outputs gets no predictions, since they are made from this one.
  if (scores === undefined) return '';
  const { dtype } = scores;
  const classified = classify(scores, classification);
  const predictions =
    classification.of === 'token'
      ? Array.from({ length: scores.shape[0]! }, (_example, index) => {
          const tokens = texts?.[index];
          const start = index * scores.shape[1]!;
          const own = classified.slice(start, start + (tokens?.length ?? scores.shape[1]!));
          return `[${own.map((prediction, step) => predictionText(prediction, dtype, tokens?.[step])).join(',')}]`;
        })
      : classified.map((prediction) => predictionText(prediction, dtype));
  return `,"predictions":[${predictions.join(',')}]`;
}

/**
 * The answer is put together as text: its numbers are written by the tensor codec, not through a schema.
 * @param texts the tokens of each example, for a classifier of tokens
 */
export function encodePredictResponse(
  response: InferenceResponse,
  classification: Classification | undefined,
  texts?: readonly (readonly string[])[],
): RouteAnswer {
  let outputs = '';
  for (const [name, tensor] of response.outputs) {
    outputs += `${outputs === '' ? '' : ','}${JSON.stringify(name)}:${encodeJsonTensor(tensor)}`;
  }
  const predictions = predictionsText(response, classification, texts);
  return {
    status: 200,
    contentType: 'application/json; charset=utf-8',
    inference: response,
    payload: `{"model":${JSON.stringify(response.model)},"version":${response.version},"outputs":{${outputs}}${predictions}}`,
  };
}
