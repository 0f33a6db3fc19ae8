/** What is weighed against each other. */
export interface Merits {
  readonly sizeBytes: number;
  /** Over the parent: the geometric mean over the sizes of batches. */
  readonly speedup: number;
  readonly accuracy: number;
}

function dominates(one: Merits, other: Merits): boolean {
  return (
    one.sizeBytes <= other.sizeBytes &&
    one.speedup >= other.speedup &&
    one.accuracy >= other.accuracy &&
    (one.sizeBytes < other.sizeBytes || one.speedup > other.speedup || one.accuracy > other.accuracy)
  );
}

/** For each whether it is on the Pareto front: no other is at least as good in everything and better in something. */
export function paretoFront(all: readonly Merits[]): boolean[] {
  return all.map((each) => !all.some((other) => dominates(other, each)));
}

/** What is looked for; `balanced` is how much faster times how much smaller. */
export const OBJECTIVES = ['balanced', 'speed', 'size'] as const;
export type Objective = (typeof OBJECTIVES)[number];

/** How good a variant is for an objective; larger is better. */
export function scoreOf({ sizeBytes, speedup }: Merits, objective: Objective): number {
  if (objective === 'speed') return speedup;
  return objective === 'size' ? -sizeBytes : speedup / sizeBytes;
}
