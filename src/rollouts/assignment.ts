import { createHash } from 'node:crypto';
import type { Requester } from '../inference/types.ts';
import type { Rollout } from '../packages/rollout.ts';

/** A number from 0 up to 1 that is always the same for a key, such as a client, and the candidate of a model. */
export function placeOf(model: string, candidate: number, key: string): number {
  return createHash('sha256').update(`${model}/${candidate}/${key}`).digest().readUInt32BE() / 2 ** 32;
}

/** What a request is told from others by; undefined when it says nothing of the kind, or need not. */
function keyOf(sticky: Rollout['sticky'], { client, head }: Requester): string | undefined {
  if (sticky === false) return undefined;
  return (sticky === true ? client : head?.header(sticky.header)) || undefined;
}

/**
 * Whether the candidate is to answer a request. A request without a key is drawn.
 * @param random a number from 0 up to 1
 */
export function isForCandidate(model: string, { candidate, weight, sticky }: Rollout, requester: Requester, random: () => number): boolean {
  const key = keyOf(sticky, requester);
  return (key === undefined ? random() : placeOf(model, candidate, key)) < weight;
}
