import { holdsFile, inspectFolder } from './scan.ts';
import type { ModelSettings } from './settings.ts';
import { selectVersions, type Selection } from './version-policy.ts';

/** What a model's settings make of what is on disk. */
export interface Survey {
  /** Versions on disk, those without a file left out. */
  readonly present: ReadonlySet<number>;
  /** Of the versions that are wanted or live; undefined for those whose files matter only once they are demanded. */
  readonly fingerprints: ReadonlyMap<number, string | undefined>;
  readonly selection: Selection;
}

export interface SurveyOptions {
  /** Absolute paths of the version folders, by version. */
  readonly folders: ReadonlyMap<number, string>;
  /** Versions that are on disk and not selected any more. */
  readonly removing: ReadonlySet<number>;
  readonly settings: Pick<ModelSettings, 'manifest' | 'labels'>;
  /** The versions that serve now. */
  readonly alive: () => readonly number[];
  /** Whether a version is left alone until it is demanded. */
  readonly rests: (version: number) => boolean;
}

/** Versions that are served whatever the version policy selects: those of labels and of a rollout. */
function* namedVersions({ manifest: { rollout }, labels }: SurveyOptions['settings']): Iterable<number> {
  yield* labels.values();
  if (rollout !== undefined) yield* [rollout.baseline, rollout.candidate];
}

/** Applies the settings to what is on disk; a folder without files is as good as not there. */
export async function survey({ folders, removing, settings, alive, rests }: SurveyOptions): Promise<Survey> {
  const fingerprints = new Map<number, string | undefined>();
  const present = new Set(folders.keys());
  for (;;) {
    const eligible = [...present].filter((number) => !removing.has(number));
    const selection = selectVersions(settings.manifest.versionPolicy, namedVersions(settings), eligible);
    const unseen = [...selection.wanted, ...alive()].filter((number) => present.has(number) && !fingerprints.has(number));
    if (unseen.length === 0) return { present, fingerprints, selection };
    for (const number of unseen) {
      const folder = folders.get(number) as string;
      const isResting = rests(number);
      const state = isResting ? undefined : await inspectFolder(folder);
      if (isResting ? await holdsFile(folder) : state !== undefined) fingerprints.set(number, state?.fingerprint);
      else present.delete(number);
    }
  }
}
