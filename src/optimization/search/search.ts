/** Something that may be done to a model. */
export interface Candidate {
  /** Tells it from all others. */
  readonly key: string;
  /** Its place in the order in which things are done. */
  readonly stage: number;
  /** Of candidates of one group at most one is in a combination. */
  readonly group: string;
}

/** In the order in which they are done. */
export type Combination<C extends Candidate> = readonly C[];

/** What a try has shown. `gain` is larger the better; undefined for a combination that is not worth extending. */
export interface Outcome {
  readonly gain: number | undefined;
}

export interface Search<C extends Candidate> {
  /** What to try next; undefined when nothing promising is left. */
  next(): Combination<C> | undefined;
  tell(combination: Combination<C>, outcome: Outcome): void;
  /** What would be tried next, were there more tries. */
  left(): readonly Combination<C>[];
}

function keyOf(combination: Combination<Candidate>): string {
  return combination.map(({ key }) => key).join(' + ');
}

/**
 * Searches the combinations of candidates level by level: each alone, then two of those that were good enough, and so on. A
 * combination is tried only when each of its candidates alone and all of it but its last one were good enough: accuracy
 * that is lost does not come back by losing more. On a level the most promising comes first.
 */
export function createSearch<C extends Candidate>(candidates: readonly C[]): Search<C> {
  const gains = new Map<string, number>();
  let level: Combination<C>[] = candidates.map((candidate) => [candidate]);
  let waiting = [...level];

  function extend(combination: Combination<C>): Combination<C>[] {
    if (!gains.has(keyOf(combination))) return [];
    return candidates
      .filter(
        (candidate) =>
          gains.has(candidate.key) &&
          candidate.stage > combination.at(-1)!.stage &&
          combination.every(({ group }) => group !== candidate.group),
      )
      .map((candidate) => [...combination, candidate]);
  }

  function promise(combination: Combination<C>): number {
    return combination.reduce((sum, { key }) => sum + gains.get(key)!, 0);
  }

  return {
    next() {
      if (waiting.length === 0) {
        level = level.flatMap(extend).toSorted((one, other) => promise(other) - promise(one));
        waiting = [...level];
      }
      return waiting.shift();
    },
    tell(combination, { gain }) {
      if (gain !== undefined) gains.set(keyOf(combination), gain);
    },
    left: () => waiting,
  };
}
