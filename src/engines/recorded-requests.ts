import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasCode } from '../errors/has-code.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { decodeInputs } from '../tensor/json-inputs.ts';
import { isJsonObject } from '../tensor/json-object.ts';
import { parseJson } from '../tensor/json-scanner.ts';
import type { Signature } from '../tensor/signature.ts';
import type { NamedTensors } from '../tensor/tensor.ts';

/** In a version folder: requests that its model is warmed up with, one on each line, as `POST /predict` takes them: `{"inputs": …}`. */
const RECORDED_FILE = 'warmup.jsonl';

function decode(line: string, signature: Signature): NamedTensors {
  const value = parseJson(Buffer.from(line));
  if (!isJsonObject(value) || value['inputs'] === undefined) throw new SlipwayError('INVALID_REQUEST', 'It must be {"inputs": …}.');
  return decodeInputs(value['inputs'], signature);
}

/**
 * The recorded requests of a version folder, at most so many; undefined when it has none.
 * @throws SlipwayError WARM_UP_FAILED naming the line that can't be read.
 */
export async function readRecordedRequests(folder: string, signature: Signature, most: number): Promise<NamedTensors[] | undefined> {
  const requests: NamedTensors[] = [];
  let number = 0;
  const file = createReadStream(join(folder, RECORDED_FILE));
  try {
    for await (const line of createInterface({ input: file, crlfDelay: Infinity })) {
      number += 1;
      if (line.trim() === '') continue;
      if (requests.length === most) break;
      requests.push(decode(line, signature));
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new SlipwayError('WARM_UP_FAILED', `${RECORDED_FILE}, line ${number}: ${messageOf(error)}`, { cause: error });
  } finally {
    file.destroy();
  }
  return requests.length === 0 ? undefined : requests;
}

/** @throws SlipwayError WARM_UP_FAILED naming the request that failed. */
export function failedOn(index: number, error: unknown): SlipwayError {
  return new SlipwayError('WARM_UP_FAILED', `${RECORDED_FILE}, request ${index + 1}: the model failed on it: ${messageOf(error)}`, {
    cause: error,
  });
}
