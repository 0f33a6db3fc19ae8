import { access, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import type { TrustedKeys } from '../packages/signature.ts';
import type { RunnerLauncher } from '../runners/runner.ts';
import type { MemoryBudget } from './memory/tenant.ts';
import { createMutex } from '../concurrency/mutex.ts';
import type { Semaphore } from '../concurrency/semaphore.ts';
import { type Spread, spreadOver } from './placement.ts';
import { listVersionFolders, type ModelListing } from './scan.ts';
import { createModelSettings, danglingLabels, type ModelSettings } from './settings.ts';
import type { ModelDescription, ReadyVersion, VersionState } from './types.ts';
import { survey, type Survey } from './survey.ts';
import { createVersion, isSameSpread, type LoadSource, type Version } from './version.ts';
import { NOTHING_SELECTED, retirable } from './version-policy.ts';

/** A version has another state or reason than before, or was reloaded. */
export interface StateChange {
  readonly model: string;
  readonly version: number;
  readonly state: VersionState;
  readonly reason: string;
}

/** How a model is brought to what its folder and settings ask for. */
export interface RefreshOptions {
  /** Versions to load without waiting for their files to settle. */
  readonly atOnce?: 'all' | number;
  /** Load again what failed before, though its files have not changed. */
  readonly retry?: boolean;
  /** Load also what waits for its first request. */
  readonly demand?: boolean;
}

/** One model: what is on disk, what its settings ask for, and the versions that live. */
export interface Model {
  readonly name: string;
  readonly folder: string;
  /** False while the model has no versions and never had. */
  readonly visible: boolean;
  /** True when the folder is gone and so are all versions. */
  readonly gone: boolean;
  readonly settings: ModelSettings;
  /** What is wrong with a folder that holds something but no version, in words that follow "its folder"; else empty. */
  readonly misplaced: string;
  readonly versions: ReadonlyMap<number, Version>;
  /** What the version policy selects. */
  readonly selected: ReadonlySet<number>;
  /** The highest ready version among the selected, else the highest that still answers. */
  readonly defaultAnswer: ReadyVersion | undefined;
  /** What is to be loaded for a request that names no version; undefined when `defaultAnswer` answers, or nothing can. */
  readonly defaultOnDemand: Version | undefined;
  readonly unloadedByRequest: boolean;
  /** True when no change is under way or waits. */
  readonly idle: boolean;
  /** Runs a change after those before it. Everything below but `settled`, `describe` and `stop` is called inside one. */
  exclusive<T>(change: () => Promise<T>): Promise<T>;
  /** Looks at the folder and starts what is to be done. Never rejects, and does not wait for loads. */
  refresh(options?: RefreshOptions): Promise<void>;
  setUnloaded(unloaded: boolean): Promise<void>;
  isOnDisk(version: number): boolean;
  /** While a version is being removed it is not selected any more. */
  setRemoving(version: number, removing: boolean): void;
  isRemoving(version: number): boolean;
  /** Resolves when no wanted version loads. */
  settled(): Promise<void>;
  describe(): ModelDescription;
  /** Drains all versions; nothing is loaded from then on. */
  stop(): Promise<void>;
}

export interface ModelOptions {
  readonly name: string;
  readonly folder: string;
  readonly launcher: RunnerLauncher;
  readonly trustedKeys: TrustedKeys | undefined;
  /** Threads of an engine when the model's settings do not say. */
  readonly threads: number;
  /** Instances of a version when the model's settings do not say. */
  readonly instances: number | 'auto';
  /** Cores to spread over. */
  readonly cores: number;
  readonly settleMs: number;
  readonly drainMs: number;
  readonly now: () => number;
  readonly loadSlots: Semaphore;
  readonly budget: MemoryBudget;
  /** True to load versions when their first request comes, unless the model is pinned. */
  readonly onDemand: boolean;
  readonly logger: Logger;
  readonly onStateChange: (event: StateChange) => void;
  /** Called with the folders whose changes matter, after each look at the disk. */
  readonly onFolders: (folders: readonly string[]) => void;
  /** Called when the model should be looked at again: its files may have settled by then. */
  readonly onDue: () => void;
  /** Called when `gone` has become true. */
  readonly onGone: () => void;
}

const UNLOADED = 'unloaded by request';
const NOT_SELECTED = 'the version policy does not select it';

export function createModel(options: ModelOptions): Model {
  const { name, folder, logger, settleMs, now } = options;
  const settings = createModelSettings(name, folder);
  const mutex = createMutex();
  const versions = new Map<number, Version>();
  const removing = new Set<number>();
  /** Files seen that are not loaded yet, and since when they are as they are. */
  const settling = new Map<number, LoadSource & { readonly since: number }>();
  let onDisk: ReadonlySet<number> = new Set();
  let folderThere = false;
  let known = false;
  let selection = NOTHING_SELECTED;
  let defaultAnswer: ReadyVersion | undefined;
  let defaultOnDemand: Version | undefined;
  let unloaded = false;
  let stopped = false;
  let dueTimer: NodeJS.Timeout | undefined;
  let rebalancing = false;
  /** Why the last look at the folder failed; empty when it did not. */
  let unreadable = '';
  let misplaced = '';
  let followed = '';

  function chooseDefault(): void {
    let best: Version | undefined;
    for (const version of versions.values()) {
      if (version.answer === undefined) continue;
      const preferred =
        Number(selection.selected.has(version.version)) - Number(best !== undefined && selection.selected.has(best.version));
      if (best === undefined || preferred > 0 || (preferred === 0 && version.version > best.version)) best = version;
    }
    defaultAnswer = best?.answer;
    defaultOnDemand = undefined;
    // Which version answers must not hang on which ones happen to be in memory.
    const top = highestHopeful();
    if (top?.onDemand !== true || (top.state === 'loading' && best !== undefined)) return;
    defaultAnswer = undefined;
    defaultOnDemand = top;
  }

  /** While a rollout shares out the requests that name no version, its baseline stands for them. */
  function defaultVersion(): number | undefined {
    const { rollout } = settings.manifest;
    return rollout?.label === undefined ? (rollout?.baseline ?? defaultAnswer?.version) : defaultAnswer?.version;
  }

  function highestHopeful(): Version | undefined {
    let top: Version | undefined;
    for (const number of selection.selected) {
      const version = versions.get(number);
      if (version !== undefined && version.state !== 'failed' && number > (top?.version ?? 0)) top = version;
    }
    return top;
  }

  /** What is wanted and may be loaded again can leave; what only stands in for it can't. */
  function isPinned({ version }: Version): boolean {
    return settings.manifest.pinned === true || !selection.wanted.has(version);
  }

  /** A version in use is followed by its next one without a pause. */
  function isInUse(): boolean {
    for (const version of versions.values()) if (version.alive) return true;
    return false;
  }

  function onVersionChange(version: Version): void {
    chooseDefault();
    options.onStateChange({ model: name, version: version.version, state: version.state, reason: version.reason });
    if (rebalancing) return;
    rebalancing = true;
    // Not now: this is called in the middle of a version's own change.
    queueMicrotask(() => {
      rebalancing = false;
      rebalance();
    });
  }

  /** Retires what is not wanted any more, as far as what is wanted is ready, and forgets what is gone. */
  function rebalance(): void {
    for (const [number, version] of versions) {
      if (onDisk.has(number)) continue;
      const held = version.alive || version.state === 'loading' || version.state === 'draining';
      if (!held) versions.delete(number);
      else if (version.state !== 'draining') void version.drain('its folder is gone');
    }
    if (!unloaded && !stopped) {
      const notReady = [...selection.selected].filter((number) => versions.get(number)?.answer === undefined);
      const unwanted = [...versions.values()].filter(
        ({ version, state }) => onDisk.has(version) && !selection.wanted.has(version) && !removing.has(version) && state !== 'draining',
      );
      for (const number of retirable(unwanted, notReady.length + selection.missing)) void versions.get(number)?.drain(NOT_SELECTED);
    }
    chooseDefault();
    known ||= versions.size > 0;
    follow();
    if (model.gone) options.onGone();
  }

  /** Has the folders watched in which a change matters now. */
  function follow(): void {
    if (stopped) return;
    const matter = [...versions.values()].filter((each) => !each.resting && (each.alive || selection.wanted.has(each.version)));
    const folders = folderThere ? [folder, ...matter.map((version) => version.folder)] : [];
    if (folders.join() !== followed) options.onFolders(folders);
    followed = folders.join();
  }

  /**
   * Whether a version that is on disk can be left alone until it is demanded. At the start that is every one that is
   * not to be loaded, so that models which nobody asks for cost next to nothing.
   */
  function canRest(number: number, { atOnce, demand }: RefreshOptions): boolean {
    if (settings.manifest.pinned === true || demand === true) return false;
    return versions.get(number)?.resting ?? (options.onDemand && atOnce === 'all' && !isInUse());
  }

  function spread(): Spread {
    const { threads = options.threads, instances = options.instances } = settings.manifest;
    return spreadOver({ threads, instances, cores: options.cores });
  }

  /** Loads what has changed. @returns how long until a version may have settled, in milliseconds. */
  function consider(version: Version, fingerprint: string | undefined, { atOnce, retry, demand }: RefreshOptions): number {
    const number = version.version;
    const source: LoadSource = { fingerprint, ...spread() };
    if (fingerprint === undefined) {
      settling.delete(number);
      // Unless it was demanded since it was looked at, or waits as it should.
      if (version.source === undefined || (version.resting && !isSameSpread(version.source, source))) version.offer(source);
      return Infinity;
    }
    const bring = (): void => {
      if (options.onDemand) version.offer(source);
      // One that loads right now would be served with files that are not there any more.
      const wanted = settings.manifest.pinned === true || demand === true || isInUse() || !version.resting;
      if (!options.onDemand || wanted) void version.load(source);
    };
    if (version.source?.fingerprint === fingerprint) {
      settling.delete(number);
      const again = !isSameSpread(version.source, source) || (retry === true && version.loadFailed);
      if (again) bring();
      else if (version.onDemand && (demand === true || settings.manifest.pinned === true)) void version.load(source);
      return Infinity;
    }
    if (atOnce !== 'all' && atOnce !== number) {
      let seen = settling.get(number);
      if (seen?.fingerprint !== fingerprint) settling.set(number, (seen = { ...source, since: now() }));
      const remainingMs = seen.since + settleMs - now();
      if (remainingMs > 0) {
        version.announce('waits until its files have stopped changing');
        return remainingMs;
      }
    }
    settling.delete(number);
    bring();
    return Infinity;
  }

  function versionAt(number: number, path: string): Version {
    let version = versions.get(number);
    if (version === undefined) {
      const { launcher, drainMs, trustedKeys, loadSlots, budget } = options;
      const parts = { launcher, drainMs, trustedKeys, loadSlots, budget, isPinned, onChange: onVersionChange };
      version = createVersion({ model: name, version: number, folder: path, reason: unloaded ? UNLOADED : NOT_SELECTED, ...parts });
      versions.set(number, version);
    }
    return version;
  }

  /** The usual slip of those who come from elsewhere: a model file, or a folder `v1`, where the versions belong. */
  function noteMisplaced(listing: ModelListing | undefined): void {
    const before = misplaced;
    const [first] = listing?.versions.size === 0 ? listing.others : [];
    misplaced =
      first === undefined ? '' : `holds ${first} but no version; a version is a folder with a number as its name, such as ${name}/1`;
    if (misplaced !== before && misplaced !== '') logger.warn({ model: name, folder }, `a model is not served: its folder ${misplaced}`);
  }

  async function refresh(how: RefreshOptions = {}): Promise<void> {
    if (stopped) return;
    clearTimeout(dueTimer);
    let listing: ModelListing | undefined;
    let seen: Survey;
    try {
      listing = await listVersionFolders(folder);
      const { reason } = settings;
      await settings.refresh(listing?.manifestFingerprint);
      if (settings.reason !== '' && settings.reason !== reason) {
        logger.warn({ model: name, reason: settings.reason }, "a model's settings are broken; the last good ones stay");
      }
      seen = await survey({
        folders: listing?.versions ?? new Map(),
        removing,
        settings,
        alive: () => [...versions.values()].filter((version) => version.alive).map(({ version }) => version),
        rests: (number) => canRest(number, how),
      });
      const { present } = seen;
      // What seems to be gone may be so because the whole repository is, which is for no model to conclude from.
      if ([...versions.keys()].some((number) => !present.has(number))) await access(dirname(folder));
    } catch (error) {
      // A disk that fails for a moment must not take models down: all stays as it is until the next look.
      if (messageOf(error) !== unreadable)
        logger.warn({ model: name, folder, reason: messageOf(error) }, 'a model folder could not be read');
      unreadable = messageOf(error);
      return;
    }
    unreadable = '';
    if (stopped) return;
    const { fingerprints } = seen;
    ({ selection, present: onDisk } = seen);
    folderThere = listing !== undefined;
    noteMisplaced(listing);
    for (const [number, path] of listing?.versions ?? []) if (onDisk.has(number)) versionAt(number, path);
    for (const number of settling.keys()) if (!selection.wanted.has(number)) settling.delete(number);
    let dueMs = Infinity;
    if (!unloaded) {
      for (const number of fingerprints.keys()) {
        const version = versions.get(number);
        // Stand-ins are not reloaded: they only wait for their end.
        if (version === undefined || !selection.wanted.has(number)) continue;
        dueMs = Math.min(dueMs, consider(version, fingerprints.get(number), how));
      }
    }
    rebalance();
    if (dueMs !== Infinity) dueTimer = setTimeout(options.onDue, Math.ceil(dueMs));
    for (const leftover of listing?.leftovers ?? []) await rm(leftover, { recursive: true, force: true }).catch(() => undefined);
  }

  const model: Model = {
    name,
    folder,
    settings,
    versions,
    get misplaced() {
      return misplaced;
    },
    get visible() {
      return versions.size > 0 || (known && folderThere);
    },
    get gone() {
      return versions.size === 0 && !folderThere;
    },
    get selected() {
      return selection.selected;
    },
    get defaultAnswer() {
      return defaultAnswer;
    },
    get defaultOnDemand() {
      return defaultOnDemand;
    },
    get unloadedByRequest() {
      return unloaded;
    },
    get idle() {
      return mutex.idle;
    },
    exclusive: (change) => mutex.run(change),
    refresh,
    async setUnloaded(next) {
      unloaded = next;
      if (!unloaded) return;
      clearTimeout(dueTimer);
      settling.clear();
      const drains = [...versions.values()].map((version) => version.drain(UNLOADED));
      await Promise.all(drains.filter((drain) => drain !== undefined));
    },
    isOnDisk: (version) => onDisk.has(version),
    setRemoving(version, is) {
      if (is) removing.add(version);
      else removing.delete(version);
    },
    isRemoving: (version) => removing.has(version),
    async settled() {
      for (const number of selection.wanted) await versions.get(number)?.settled();
    },
    describe: () => ({
      name,
      defaultVersion: defaultVersion(),
      labels: Object.fromEntries(settings.labels),
      versionPolicy: settings.manifest.versionPolicy,
      rollout: settings.manifest.rollout,
      decisions: settings.manifest.decisions ?? [],
      pinned: settings.manifest.pinned === true,
      reason: [settings.reason, ...danglingLabels(settings.labels, onDisk)].filter((each) => each !== '').join(' '),
      versions: [...versions.values()].toSorted((a, b) => a.version - b.version).map((version) => version.describe()),
    }),
    async stop() {
      stopped = true;
      clearTimeout(dueTimer);
      await Promise.all([...versions.values()].map((version) => version.drain('the server is stopping')));
    },
  };
  return model;
}
