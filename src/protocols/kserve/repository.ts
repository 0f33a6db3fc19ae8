import { SlipwayError } from '../../errors/slipway-error.ts';
import type { ModelDescription, Registry, VersionState } from '../../registry/types.ts';

/** One line of the repository index. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

const STATES = {
  loading: 'LOADING',
  ready: 'READY',
  draining: 'UNLOADING',
  unloaded: 'UNAVAILABLE',
  failed: 'UNAVAILABLE',
} as const satisfies Record<VersionState, string>;

/** Every version in the repository and its state; with `readyOnly`, those that answer. */
export function repositoryIndex(models: readonly ModelDescription[], readyOnly: boolean): IndexEntry[] {
  return models.flatMap(({ name, versions }) =>
    versions
      .filter(({ state }) => !readyOnly || state === 'ready')
      .map(({ version, state, reason }) => ({ name, version: String(version), state: STATES[state], reason })),
  );
}

/** Loads a model. @throws SlipwayError as `Registry.load`; MODEL_FAILED when a version could not be loaded. */
export async function loadModel(registry: Registry, model: string): Promise<void> {
  const { versions } = await registry.load(model);
  const failed = versions.find(({ state }) => state === 'failed');
  if (failed === undefined) return;
  throw new SlipwayError('MODEL_FAILED', `Version ${failed.version} of model "${model}" could not be loaded: ${failed.reason}`);
}
