import type { ModelManifest } from '../packages/manifest.ts';

/** What a model's settings ask for, out of the versions that are on disk. */
export interface Selection {
  /** Versions that the version policy selects. */
  readonly selected: ReadonlySet<number>;
  /** Those, and the versions that a label points at or that a rollout is about. */
  readonly wanted: ReadonlySet<number>;
  /** How many versions the policy lists that are not on disk. */
  readonly missing: number;
}

export const NOTHING_SELECTED: Selection = { selected: new Set(), wanted: new Set(), missing: 0 };

/** Applies the version policy, and names such as labels, to the versions on disk. */
export function selectVersions(policy: ModelManifest['versionPolicy'], named: Iterable<number>, onDisk: Iterable<number>): Selection {
  const present = new Set(onDisk);
  const selected = new Set<number>();
  let missing = 0;

  if (policy === 'all') {
    for (const version of present) selected.add(version);
  } else if ('latest' in policy) {
    const descending = [...present].toSorted((a, b) => b - a);
    for (const version of descending.slice(0, policy.latest)) selected.add(version);
  } else {
    for (const version of new Set(policy.versions)) {
      if (present.has(version)) selected.add(version);
      else missing += 1;
    }
  }

  const wanted = new Set(selected);
  for (const version of named) if (present.has(version)) wanted.add(version);
  return { selected, wanted, missing };
}

/**
 * The policy under which one version answers requests that name none, and another one that was compared with it does not:
 * the same one where that is so already, else one that lists versions.
 */
export function policyThatAnswersBy(
  policy: ModelManifest['versionPolicy'],
  winner: number,
  loser: number,
  onDisk: Iterable<number>,
): ModelManifest['versionPolicy'] {
  const { selected } = selectVersions(policy, [], onDisk);
  if (Math.max(...selected) === winner) return policy;
  const others = [...selected].filter((version) => version < winner && version !== loser);
  return { versions: [...others, winner].toSorted((a, b) => a - b) };
}

/** A version as the decision on its retirement sees it. */
interface Serving {
  readonly version: number;
  readonly alive: boolean;
}

/**
 * Which of the unwanted versions may go. For each selected version that is not ready yet, or is not even there, the
 * highest unwanted one that still runs stays in its place: the new is loaded before the old is drained, and a new
 * version that fails does not take the old one with it.
 */
export function retirable(unwanted: readonly Serving[], notReady: number): readonly number[] {
  const alive = unwanted.filter((each) => each.alive).toSorted((a, b) => b.version - a.version);
  const standIns = new Set(alive.slice(0, notReady).map((each) => each.version));
  return unwanted.filter((each) => !standIns.has(each.version)).map((each) => each.version);
}
