import { createHash } from 'node:crypto';
import type { Rollout } from '../packages/rollout.ts';

/** A number from 0 up to 1 that is always the same for a client and the candidate of a model. */
export function placeOf(model: string, candidate: number, client: string): number {
  return createHash('sha256').update(`${model}/${candidate}/${client}`).digest().readUInt32BE() / 2 ** 32;
}

/**
 * Whether the candidate is to answer a request.
 * @param client empty when it is not known who asks: then it is drawn
 * @param random a number from 0 up to 1
 */
export function isForCandidate(
  model: string,
  { candidate, weight, sticky }: Rollout,
  client: string | undefined,
  random: () => number,
): boolean {
  const place = sticky && client !== undefined && client !== '' ? placeOf(model, candidate, client) : random();
  return place < weight;
}
