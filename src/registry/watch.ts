import { watch as watchFolder, type FSWatcher } from 'node:fs';
import { messageOf } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';

/** Notices that model folders change: by events of the file system where there are any, and by looking again. */
export interface Watch {
  /** Watches these folders for a model from now on, instead of those before; links are followed. */
  follow(model: string, folders: readonly string[]): void;
  stop(): void;
}

export interface WatchOptions {
  readonly repository: string;
  /** False to rely on `pollMs` alone. */
  readonly events: boolean;
  /** Least time between the end of one look at everything and the next, in milliseconds. */
  readonly pollMs: number;
  readonly logger: Logger;
  /** Called with the models whose folders had events. */
  readonly onModels: (names: readonly string[]) => void;
  /** Called to look at everything; must not reject. */
  readonly onPoll: () => Promise<void>;
}

/** Events come in bursts: they are gathered for this long, in milliseconds. */
const GATHER_MS = 25;
/** The pause between looks is at least this many times as long as a look, so that thousands of models stay cheap. */
const POLL_PAUSE_FACTOR = 49;

/**
 * Each folder that matters is watched by itself. Node's recursive watch would also hold a watcher for each file, does
 * not follow links, and can't be told that a folder was replaced.
 */
export function createWatch({ repository, events, pollMs, logger, onModels, onPoll }: WatchOptions): Watch {
  /** By folder, with the model that it belongs to. */
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly model: string | undefined }>();
  const foldersOf = new Map<string, ReadonlySet<string>>();
  const changedModels = new Set<string>();
  const changedFolders = new Set<string>();
  let gatherTimer: NodeJS.Timeout | undefined;
  let pollTimer: NodeJS.Timeout | undefined;
  let stopped = false;
  let complained = false;

  function onEvent(folder: string, model: string): void {
    changedFolders.add(folder);
    changedModels.add(model);
    gatherTimer ??= setTimeout(() => {
      gatherTimer = undefined;
      // A watcher sees the folder it was opened on; the path may name another one by now.
      for (const changed of changedFolders) reopen(changed);
      changedFolders.clear();
      const names = [...changedModels];
      changedModels.clear();
      onModels(names);
    }, GATHER_MS);
  }

  /** Without a model it is the repository itself, whose entries are the models. */
  function open(folder: string, model: string | undefined): void {
    try {
      const watcher = watchFolder(folder, (_event, file) => {
        const changed = model ?? file;
        if (changed !== null && !changed.startsWith('.')) onEvent(folder, changed);
      });
      watcher.on('error', () => close(folder)); // polling goes on
      watchers.set(folder, { watcher, model });
    } catch (error) {
      const gone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (gone || complained) return;
      complained = true;
      logger.warn({ folder, pollMs, reason: messageOf(error) }, 'a folder cannot be watched; changes in it are found by polling');
    }
  }

  function close(folder: string): void {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
  }

  function reopen(folder: string): void {
    const watched = watchers.get(folder);
    // Closing drops events not told yet. Those of a model do not matter: it is looked at next. Others' would be missed.
    if (watched?.model === undefined) return;
    close(folder);
    open(folder, watched.model);
  }

  function pollAfter(pauseMs: number): void {
    pollTimer = setTimeout(() => {
      const startedAt = performance.now();
      void onPoll().finally(() => {
        if (!stopped) pollAfter(Math.max(pollMs, POLL_PAUSE_FACTOR * (performance.now() - startedAt)));
      });
    }, pauseMs);
  }

  if (events) open(repository, undefined);
  pollAfter(pollMs);

  return {
    follow(model, folders) {
      if (!events || stopped) return;
      const next = new Set(folders);
      for (const folder of foldersOf.get(model) ?? []) if (!next.has(folder)) close(folder);
      if (next.size === 0) foldersOf.delete(model);
      else foldersOf.set(model, next);
      for (const folder of next) if (!watchers.has(folder)) open(folder, model);
    },
    stop() {
      stopped = true;
      clearTimeout(gatherTimer);
      clearTimeout(pollTimer);
      for (const folder of watchers.keys()) close(folder);
    },
  };
}
