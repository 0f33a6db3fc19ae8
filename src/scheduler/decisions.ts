import type { Decision } from './types.ts';

/** What a scheduler decided last, for people. */
export interface Decisions {
  /** The decision may still change while its batch runs. */
  add(decision: Decision): void;
  /** The latest first. */
  readonly recent: readonly Decision[];
}

const KEPT = 32;

export function createDecisions(): Decisions {
  const ring: Decision[] = [];
  let next = 0;
  return {
    add(decision) {
      ring[next] = decision;
      next = (next + 1) % KEPT;
    },
    get recent() {
      return [...ring.slice(next), ...ring.slice(0, next)].toReversed();
    },
  };
}
