import type { InferenceResponse } from '../../inference/types.ts';
import type { Classification } from '../../packages/manifest.ts';
import { type ClassProbability, classify } from '../../preprocessing/classification.ts';
import type { DType } from '../../tensor/dtype.ts';
import { encodeJsonTensor } from '../../tensor/json-encode.ts';
import type { RouteAnswer } from '../http/route.ts';

/** A probability with the digits of the scores that it was made from, so that it reads as the same number in `outputs`. */
function probabilityText(value: number, dtype: DType): string {
  return encodeJsonTensor(
    dtype === 'FP32' ? { dtype, shape: [], data: Float32Array.of(value) } : { dtype: 'FP64', shape: [], data: Float64Array.of(value) },
  );
}

function classText({ label, probability }: ClassProbability, dtype: DType): string {
  return `"label":${JSON.stringify(label)},"probability":${probabilityText(probability, dtype)}`;
}

function predictionsText(response: InferenceResponse, classification: Classification | undefined): string {
  if (classification === undefined) return '';
  const [firstName] = response.outputs.keys();
  const scores = response.outputs.get(classification.output ?? firstName ?? '');
  // A client that asked for other outputs gets no predictions, since they are made from this one.
  if (scores === undefined) return '';
  const { dtype } = scores;
  const predictions = classify(scores, classification).map(
    (prediction) => `{${classText(prediction, dtype)},"top":[${prediction.top.map((each) => `{${classText(each, dtype)}}`).join(',')}]}`,
  );
  return `,"predictions":[${predictions.join(',')}]`;
}

/** The answer is put together as text: its numbers are written by the tensor codec, not through a schema. */
export function encodePredictResponse(response: InferenceResponse, classification: Classification | undefined): RouteAnswer {
  let outputs = '';
  for (const [name, tensor] of response.outputs) {
    outputs += `${outputs === '' ? '' : ','}${JSON.stringify(name)}:${encodeJsonTensor(tensor)}`;
  }
  const predictions = predictionsText(response, classification);
  return {
    status: 200,
    contentType: 'application/json; charset=utf-8',
    inference: response,
    payload: `{"model":${JSON.stringify(response.model)},"version":${response.version},"outputs":{${outputs}}${predictions}}`,
  };
}
