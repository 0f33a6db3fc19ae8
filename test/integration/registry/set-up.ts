import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import type { Logger } from '../../../src/observability/log.ts';
import { createRegistry, type RegistryOptions, type StateChange } from '../../../src/registry/registry.ts';
import type { Registry, VersionState } from '../../../src/registry/types.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { createFakeLauncher, type FakeLauncher } from '../../unit/registry/fake-launcher.ts';

/** A registry on a fresh repository, with runners whose life the test decides. */
export interface Setup {
  readonly registry: Registry;
  readonly launcher: FakeLauncher;
  /** The model repository. */
  readonly models: string;
  readonly events: StateChange[];
  readonly logged: string[];
  /** Writes a version whose model.onnx has this text, at once. */
  add(model: string, version: number, text?: string): Promise<void>;
  /** A version folder outside of the repository, to be published. */
  prepare(text?: string): Promise<string>;
  settings(model: string, settings: unknown): Promise<void>;
  state(model: string, version: number): VersionState | undefined;
  /** Versions and their states, e.g. `1 ready, 2 loading`. */
  states(model: string): string;
}

/** Text of model.onnx by model and version. */
export type Files = Record<string, Record<number, string>>;

export async function setUp(files: Files = {}, options: Partial<RegistryOptions> = {}): Promise<Setup> {
  const root = await temporaryFolder();
  const models = join(root, 'models');
  const launcher = createFakeLauncher();
  const events: StateChange[] = [];
  const logged: string[] = [];
  const log = (_fields: object, message: string): void => void logged.push(message);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const registry = createRegistry({
    models,
    repository: { watch: true, pollMs: 100, settleMs: 30 },
    threads: 1,
    instances: 1,
    launcher,
    logger,
    memory: { measureMs: 60_000 },
    maxWaiting: 100,
    drainMs: 10_000,
    onStateChange: (event) => events.push(event),
    ...options,
  });
  onTestFinished(() => registry.stop());
  let prepared = 0;

  async function prepare(text = 'good'): Promise<string> {
    const folder = join(root, `prepared-${(prepared += 1)}`);
    await mkdir(folder);
    await writeFile(join(folder, 'model.onnx'), text);
    return folder;
  }

  const setup: Setup = {
    registry,
    launcher,
    models,
    events,
    logged,
    async add(model, version, text) {
      await mkdir(join(models, model), { recursive: true });
      await rename(await prepare(text), join(models, model, String(version)));
    },
    prepare,
    async settings(model, settings) {
      const text = typeof settings === 'string' ? settings : JSON.stringify(settings);
      await mkdir(join(models, model), { recursive: true });
      await writeFile(join(root, 'settings'), text);
      await rename(join(root, 'settings'), join(models, model, 'slipway-model.json'));
    },
    state: (model, version) => stateOf(registry, model, version),
    states: (model) => statesOf(registry, model),
  };
  for (const [model, versions] of Object.entries(files)) {
    for (const [version, text] of Object.entries(versions)) await setup.add(model, Number(version), text);
  }
  return setup;
}

function statesOf(registry: Registry, model: string): string {
  const found = registry.list().find(({ name }) => name === model);
  return (found?.versions ?? []).map(({ version, state }) => `${version} ${state}`).join(', ');
}

function stateOf(registry: Registry, model: string, version: number): VersionState | undefined {
  const found = registry.list().find(({ name }) => name === model);
  return found?.versions.find((each) => each.version === version)?.state;
}

/** Looks again and again until the check passes. */
export function eventually(check: () => unknown): Promise<unknown> {
  return vi.waitFor(check, { timeout: 10_000, interval: 5 });
}

/** The coded error that is thrown. */
export function errorOf(act: () => unknown): SlipwayError {
  try {
    act();
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
