import { SlipwayError } from '../errors/slipway-error.ts';
import { type ModelManifest, nameSchema } from '../packages/manifest.ts';
import type { Rollout, RolloutDecision, RolloutRequest } from '../packages/rollout.ts';
import type { Model } from './model.ts';
import { assertName } from './names.ts';
import type { ModelDescription, Registry } from './types.ts';
import { labelNotFound } from './unresolved.ts';
import type { Version } from './version.ts';
import { policyThatAnswersBy } from './version-policy.ts';

export interface SettingsChangesOptions {
  /** @throws SlipwayError MODEL_NOT_FOUND */
  readonly visible: (model: string) => Model;
  readonly change: <T>(model: Model, task: () => Promise<T>) => Promise<T>;
  /** @throws SlipwayError VERSION_NOT_FOUND, MODEL_BUSY */
  readonly versionOnDisk: (model: Model, version: number) => Version;
}

type SettingsChanges = Pick<Registry, 'setLabel' | 'removeLabel' | 'setVersionPolicy' | 'setRollout' | 'endRollout'>;

/** So many decisions stay in slipway-model.json. */
const MOST_DECISIONS = 20;

/** What must stay as it is while a rollout counts on it. @throws SlipwayError MODEL_BUSY */
export function assertNotRolledOut(model: Model, { version, label }: { readonly version?: number; readonly label?: string }): void {
  const { rollout } = model.settings.manifest;
  if (rollout === undefined) return;
  const isIn = version === undefined ? label === rollout.label : version === rollout.candidate || version === rollout.baseline;
  if (!isIn) return;
  throw new SlipwayError(
    'MODEL_BUSY',
    `Model "${model.name}" has a rollout of version ${rollout.candidate} beside version ${rollout.baseline}; promote it or roll it back first.`,
  );
}

/** The version that a new rollout is compared with. */
function baselineOf(model: Model, { candidate, baseline, label }: RolloutRequest): number {
  if (baseline !== undefined) return baseline;
  if (label !== undefined) {
    const labelled = model.settings.labels.get(label);
    if (labelled === undefined) throw labelNotFound(model, label);
    return labelled;
  }
  const answering = model.defaultAnswer?.version ?? model.defaultOnDemand?.version;
  if (answering !== undefined && answering !== candidate) return answering;
  // The candidate answers already: it was published under a policy that takes the latest.
  const before = Math.max(0, ...[...model.versions.keys()].filter((version) => version < candidate && model.isOnDisk(version)));
  if (before > 0) return before;
  throw new SlipwayError('INVALID_REQUEST', `Model "${model.name}" has no version to compare version ${candidate} with.`, {
    details: [{ path: 'baseline', message: 'must be given' }],
  });
}

/** The rollout that is asked for; one that is under way keeps its start, and may only change its terms. */
function rolloutFrom(model: Model, request: RolloutRequest): Rollout {
  const { rollout: current } = model.settings.manifest;
  const { candidate, label } = request;
  const isSame = current !== undefined && current.candidate === candidate && current.label === label;
  if (current !== undefined && (!isSame || (request.baseline ?? current.baseline) !== current.baseline)) {
    assertNotRolledOut(model, { version: current.candidate });
  }
  const baseline = current?.baseline ?? baselineOf(model, request);
  if (baseline === candidate) {
    throw new SlipwayError('INVALID_REQUEST', `Version ${candidate} of model "${model.name}" would be compared with itself.`, {
      details: [{ path: 'candidate', message: 'must be another version than the baseline' }],
    });
  }
  return { ...request, baseline, startedAt: current?.startedAt ?? new Date().toISOString() };
}

/** Changes of a model's slipway-model.json, each taking hold at once. */
export function createSettingsChanges({ visible, change, versionOnDisk }: SettingsChangesOptions): SettingsChanges {
  /** Changes the settings by what they are once they are read anew. */
  async function changeSettings(
    name: string,
    settle: 'all' | number | undefined,
    next: (model: Model) => Partial<ModelManifest>,
  ): Promise<Model> {
    const model = visible(name);
    await change(model, async () => {
      await model.refresh();
      await model.settings.write(next(model));
      await model.refresh(settle === undefined ? {} : { atOnce: settle });
    });
    return model;
  }

  async function settled(model: Model): Promise<ModelDescription> {
    await model.settled();
    return model.describe();
  }

  return {
    async setLabel(name, label, version) {
      assertName(nameSchema, label, 'label');
      const model = await changeSettings(name, version, (found) => {
        versionOnDisk(found, version);
        assertNotRolledOut(found, { label });
        return { labels: { ...found.settings.manifest.labels, [label]: version } };
      });
      return model.describe();
    },
    async removeLabel(name, label) {
      const model = await changeSettings(name, undefined, (found) => {
        const labels = new Map(found.settings.labels);
        if (!labels.delete(label)) throw labelNotFound(found, label);
        assertNotRolledOut(found, { label });
        return { labels: Object.fromEntries(labels) };
      });
      return model.describe();
    },
    setVersionPolicy: async (name, versionPolicy) => settled(await changeSettings(name, 'all', () => ({ versionPolicy }))),
    async setRollout(name, request) {
      const model = await changeSettings(name, 'all', (found) => {
        versionOnDisk(found, request.candidate);
        const rollout = rolloutFrom(found, request);
        versionOnDisk(found, rollout.baseline);
        return { rollout };
      });
      return settled(model);
    },
    async endRollout(name, told) {
      const model = await changeSettings(name, 'all', (found) => {
        const { rollout, labels, versionPolicy, decisions = [] } = found.settings.manifest;
        if (rollout === undefined) throw rolloutNotFound(name);
        const { candidate, baseline, label } = rollout;
        const decision: RolloutDecision = {
          at: new Date().toISOString(),
          candidate,
          baseline,
          ...(label !== undefined && { label }),
          ...told,
        };
        const winner = told.decision === 'promoted' ? candidate : baseline;
        if (winner === candidate) versionOnDisk(found, candidate);
        const onDisk = [...found.versions.keys()].filter((version) => found.isOnDisk(version));
        return {
          rollout: undefined,
          decisions: [decision, ...decisions].slice(0, MOST_DECISIONS),
          ...(label === undefined
            ? { versionPolicy: policyThatAnswersBy(versionPolicy, winner, winner === candidate ? baseline : candidate, onDisk) }
            : { labels: { ...labels, [label]: winner } }),
        };
      });
      return settled(model);
    },
  };
}

export function rolloutNotFound(model: string): SlipwayError {
  return new SlipwayError('ROLLOUT_NOT_FOUND', `Model "${model}" has no rollout under way.`);
}
