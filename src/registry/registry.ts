import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import { nameSchema, versionSchema } from '../packages/manifest.ts';
import { readVersionFolder } from '../packages/read-version.ts';
import type { TrustedKeys } from '../packages/signature.ts';
import type { RunnerLauncher } from '../runners/runner.ts';
import { createSemaphore } from '../concurrency/semaphore.ts';
import { createModel, type Model, type RefreshOptions, type StateChange } from './model.ts';
import { createMemoryBudget } from './memory/budget.ts';
import { createWaiting } from './memory/waiting.ts';
import { wishesOf } from './placement.ts';
import { assertName } from './names.ts';
import { listModelFolders, withSettingsFirst } from './scan.ts';
import { assertNotRolledOut, createSettingsChanges } from './settings-changes.ts';
import { copyVersion, deleteEmptyModel, deleteVersion, placeVersion } from './store.ts';
import type { ModelReference, Patience, ReadyVersion, Registry, VersionDescription } from './types.ts';
import { tryLoad } from './trial.ts';
import { modelNotFound, unresolved, versionNotFound } from './unresolved.ts';
import type { Version } from './version.ts';
import { createWatch, type Watch } from './watch.ts';

export type { StateChange } from './model.ts';

export interface RegistryOptions {
  /** Absolute path of the model repository; made when it is not there. */
  readonly models: string;
  readonly repository: Config['repository'];
  /** Threads of an engine for one run, for models that do not say. */
  readonly threads: number;
  /** Instances of a version, for models that do not say. */
  readonly instances: number | 'auto';
  /** Cores to spread over; those that the system gives this process by default. */
  readonly cores?: number;
  readonly memory: Config['memory'];
  /** Requests that may wait for the load of one version; one more is refused. */
  readonly maxWaiting: number;
  readonly launcher: RunnerLauncher;
  /** Whose signature a version must have to be loaded; undefined when it needs none. */
  readonly trustedKeys?: TrustedKeys | undefined;
  readonly logger: Logger;
  /** How long requests in flight may go on when a version is drained, in milliseconds. */
  readonly drainMs: number;
  /** The time in milliseconds by which files settle; `performance.now` by default. */
  readonly clock?: () => number;
  /** Called after each change of a version's state or reason; a reload is one more `ready`. */
  readonly onStateChange?: (event: StateChange) => void;
}

/** Loads that run at once; each is a process of its own that reads files and allocates. */
const LOADS_AT_ONCE = 4;
/** Model folders that are looked at side by side. */
const SCANS_AT_ONCE = 16;

/** The models on disk and their life: what is there is brought to what is asked for, again and again. */
export function createRegistry(options: RegistryOptions): Registry {
  const { models: repository, logger, drainMs } = options;
  const models = new Map<string, Model>();
  const budget = createMemoryBudget({
    limitBytes: options.memory.budgetBytes,
    idleTimeoutMs: options.memory.idleTimeoutMs,
    measureMs: options.memory.measureMs,
    logger,
  });
  const onDemand = options.memory.budgetBytes !== undefined || options.memory.idleTimeoutMs !== undefined;
  const wait = createWaiting(options.maxWaiting);
  const loadSlots = createSemaphore(LOADS_AT_ONCE);
  const scanSlots = createSemaphore(SCANS_AT_ONCE);
  const refusedNames = new Set<string>();
  /** Refreshes that wait for their turn: one more of the same model would find nothing else. */
  const queued = new Map<string, Promise<void>>();
  let watch: Watch | undefined;
  let stopping: Promise<void> | undefined;
  let rootReadable = true;

  function onStateChange(event: StateChange): void {
    if (event.state === 'failed') logger.error(event, 'a model version failed');
    else if (event.state === 'ready' && event.reason !== '') logger.warn(event, 'a model version serves, but not its latest files');
    else logger.debug(event, `model version ${event.state}`);
    options.onStateChange?.(event);
  }

  function ensure(name: string): Model {
    const existing = models.get(name);
    if (existing !== undefined) return existing;
    const model = createModel({
      name,
      folder: join(repository, name),
      launcher: options.launcher,
      trustedKeys: options.trustedKeys,
      threads: options.threads,
      instances: options.instances,
      cores: options.cores ?? availableParallelism(),
      settleMs: options.repository.settleMs,
      drainMs,
      now: options.clock ?? (() => performance.now()),
      loadSlots,
      budget,
      onDemand,
      logger,
      onStateChange,
      onFolders: (folders) => watch?.follow(name, folders),
      onDue: () => void refresh(model),
      onGone: () => forget(model),
    });
    models.set(name, model);
    return model;
  }

  /** Drops the record of a model that is gone, unless a change of it waits; then a later look drops it. */
  function forget(model: Model): void {
    if (!model.gone || !model.idle || models.get(model.name) !== model) return;
    models.delete(model.name);
    void model.stop(); // who still holds the record can do no harm with it
    watch?.follow(model.name, []);
  }

  function refresh(model: Model, how: RefreshOptions = {}): Promise<void> {
    const waiting = queued.get(model.name);
    if (waiting !== undefined && how.atOnce === undefined) return waiting;
    const done = model
      .exclusive(async () => {
        queued.delete(model.name);
        const release = await scanSlots.acquire();
        await model.refresh(how).finally(release);
      })
      .then(
        () => forget(model),
        (error: unknown) => logger.error({ model: model.name, reason: messageOf(error) }, 'a model could not be looked at'),
      );
    queued.set(model.name, done);
    return done;
  }

  function isAllowed(name: string): boolean {
    if (nameSchema.safeParse(name).success) return true;
    if (!refusedNames.has(name)) {
      refusedNames.add(name);
      logger.warn({ folder: join(repository, name) }, 'a folder is ignored: its name is not allowed for a model');
    }
    return false;
  }

  async function scan(how: RefreshOptions = {}): Promise<void> {
    let names: readonly string[] = [];
    try {
      names = await listModelFolders(repository);
      // Those that may be pinned: they load while the others are looked at.
      if (onDemand && how.atOnce === 'all') names = await withSettingsFirst(repository, names);
      rootReadable = true;
    } catch (error) {
      // All models go on: a repository that can't be read is more likely unmounted than emptied.
      if (rootReadable) logger.error({ folder: repository, reason: messageOf(error) }, 'the model repository could not be read');
      rootReadable = false;
      return;
    }
    if (stopping !== undefined) return;
    for (const name of names) if (isAllowed(name)) ensure(name);
    // A change that takes long, such as a drain, holds up the look at its own model only.
    const looks: Promise<void>[] = [];
    for (const model of models.values()) {
      const { idle } = model;
      const look = refresh(model, how);
      if (idle) looks.push(look);
    }
    await Promise.all(looks);
  }

  function onModels(names: readonly string[]): void {
    for (const name of names) if (nameSchema.safeParse(name).success) void refresh(ensure(name));
  }

  function assertRunning(): void {
    if (stopping !== undefined) throw new SlipwayError('SHUTTING_DOWN', 'The server is stopping.', { retryAfterMs: 1_000 });
  }

  function visible(name: string): Model {
    const model = models.get(name);
    if (model === undefined || !model.visible) throw notFound(name);
    return model;
  }

  function notFound(name: string): SlipwayError {
    return modelNotFound(name, visibleNames(), models.get(name)?.misplaced);
  }

  function* visibleNames(): Iterable<string> {
    for (const model of models.values()) if (model.visible) yield model.name;
  }

  function versionOf(model: Model, version: number): Version {
    const found = model.versions.get(version);
    if (found === undefined) throw versionNotFound(model, version, false);
    return found;
  }

  function versionOnDisk(model: Model, version: number): Version {
    if (!model.isOnDisk(version)) throw versionNotFound(model, version, false);
    if (model.isRemoving(version)) throw new SlipwayError('MODEL_BUSY', `Version ${version} of model "${model.name}" is being removed.`);
    return versionOf(model, version);
  }

  async function change<T>(model: Model, task: () => Promise<T>): Promise<T> {
    try {
      return await model.exclusive(() => {
        assertRunning();
        return task();
      });
    } finally {
      forget(model);
    }
  }

  function named(model: Model, { version, label }: ModelReference): Version | undefined {
    const number = version ?? model.settings.labels.get(label ?? '');
    return number === undefined ? undefined : model.versions.get(number);
  }

  /** What answers now, or what has to be loaded for it. */
  function look(reference: ModelReference): { readonly answer: ReadyVersion } | { readonly version: Version } {
    const model = models.get(reference.model);
    if (model === undefined) throw notFound(reference.model);
    const isDefault = reference.version === undefined && reference.label === undefined;
    const version = isDefault ? model.defaultOnDemand : named(model, reference);
    const answer = isDefault ? model.defaultAnswer : version?.answer;
    if (answer !== undefined) return { answer };
    assertRunning();
    if (version?.onDemand === true) return { version };
    throw unresolved(visible(reference.model), reference);
  }

  function find(reference: ModelReference): ReadyVersion | undefined {
    const found = look(reference);
    return 'answer' in found ? found.answer : undefined;
  }

  function resolve(reference: ModelReference): ReadyVersion {
    const answer = find(reference);
    if (answer === undefined) throw unresolved(visible(reference.model), reference);
    return answer;
  }

  async function demand(reference: ModelReference, patience: Patience): Promise<ReadyVersion> {
    for (;;) {
      const found = look(reference);
      if ('answer' in found) return found.answer;
      await wait(found.version.demand(), found.version.folder, `Version ${found.version.version} of model "${reference.model}"`, patience);
    }
  }

  return {
    async start() {
      await mkdir(repository, { recursive: true }).catch((error: unknown) => {
        throw new Error(`The model repository ${repository} can't be made: ${messageOf(error)}`, { cause: error });
      });
      const { pollMs, watch: events } = options.repository;
      assertRunning();
      watch = createWatch({ repository, events, pollMs, logger, onModels, onPoll: () => scan() });
      await scan({ atOnce: 'all' });
      await Promise.all([...models.values()].map((model) => model.settled()));
    },
    stop() {
      stopping ??= (async () => {
        await Promise.resolve(); // `stopping` is set before anything below looks at it
        watch?.stop();
        const all = [...models.values()];
        await Promise.all(all.map((model) => model.stop()));
        await Promise.all(all.map((model) => model.exclusive(() => Promise.resolve())));
        budget.stop();
      })();
      return stopping;
    },
    resolve,
    find,
    demand,
    memory: () => budget.describe(),
    list: () => [...visibleNames()].toSorted().map((name) => visible(name).describe()),
    describe: (name) => visible(name).describe(),
    describeVersion(name, version): VersionDescription {
      return versionOf(visible(name), version).describe();
    },
    async load(name) {
      if (!nameSchema.safeParse(name).success) throw notFound(name);
      assertRunning();
      const model = ensure(name); // its folder may be newer than the last look
      await change(model, async () => {
        await model.setUnloaded(false);
        await model.refresh({ atOnce: 'all', retry: true, demand: true });
      });
      await model.settled();
      return visible(name).describe();
    },
    async unload(name) {
      const model = visible(name);
      await change(model, () => model.setUnloaded(true));
      return model.describe();
    },
    rolloutOf: (name) => models.get(name)?.settings.manifest.rollout,
    ...createSettingsChanges({ visible, change, versionOnDisk }),
    async publish(name, version, preparedFolder) {
      assertRunning();
      assertName(nameSchema, name, 'model name');
      if (version !== undefined) assertName(versionSchema, version, 'version');
      // What can't be read or loaded never enters the repository.
      const { format, manifest } = await readVersionFolder(preparedFolder, options.trustedKeys);
      const release = await loadSlots.acquire();
      const placement = { folder: preparedFolder, format, ...wishesOf(manifest), threads: options.threads };
      await tryLoad(options.launcher, budget, `${name} (on trial)`, placement).finally(release);
      assertRunning();
      const model = ensure(name);
      const published = await change(model, async () => {
        const number = await placeVersion(name, model.folder, version, preparedFolder);
        await model.refresh({ atOnce: number });
        assertRunning();
        return versionOf(model, number);
      });
      await published.settled();
      return published.describe();
    },
    async remove(name, version) {
      const model = visible(name);
      await change(model, async () => {
        await model.refresh();
        versionOnDisk(model, version);
        assertNotRolledOut(model, { version });
        model.setRemoving(version, true);
        await model.refresh({ atOnce: 'all' }); // starts to load what takes its place
      });
      try {
        await model.settled();
        await change(model, async () => {
          if (models.get(name) === model) await removeVersion(model, version);
        });
      } finally {
        model.setRemoving(version, false);
        void refresh(model); // when it could not be removed, it is to serve again
      }
    },
    folderOf: (name, version) => versionOf(visible(name), version).folder,
    copy: (name, version, target) => copyVersion(() => versionOf(visible(name), version).folder, target, options.trustedKeys),
  };
}

async function removeVersion(model: Model, version: number): Promise<void> {
  await model.versions.get(version)?.drain('it is being removed');
  const kept = [...model.settings.labels].filter(([, target]) => target !== version);
  if (kept.length < model.settings.labels.size && model.settings.reason === '')
    await model.settings.write({ labels: Object.fromEntries(kept) });
  await deleteVersion(model.folder, version);
  await model.refresh();
  if (model.versions.size === 0) {
    await deleteEmptyModel(model.folder);
    await model.refresh();
  }
}
