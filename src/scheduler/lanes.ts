import type { ReadyVersion } from '../registry/types.ts';
import type { Runner } from '../runners/runner.ts';
import { createScheduler } from './scheduler.ts';
import type { Scheduler, SchedulerSettings } from './types.ts';

/** What to change; the rest stays. */
export type SchedulerChange = { readonly [Name in keyof SchedulerSettings]?: SchedulerSettings[Name] | undefined };

/** The schedulers of all runners, and the settings of the models that have their own. */
export interface Lanes {
  of(version: ReadyVersion): Scheduler;
  settingsOf(model: string): SchedulerSettings;
  /** Holds from now on, for the versions that serve too, until the server ends. */
  update(model: string, change: SchedulerChange): void;
}

export function createLanes(defaults: SchedulerSettings): Lanes {
  /** Gone with its runner. */
  const schedulers = new WeakMap<Runner, Scheduler>();
  const changed = new Map<string, SchedulerSettings>();

  const settingsOf = (model: string): SchedulerSettings => changed.get(model) ?? defaults;

  return {
    of({ model, runner, signature }) {
      let scheduler = schedulers.get(runner);
      if (scheduler === undefined) {
        scheduler = createScheduler({ runner, signature, settings: () => settingsOf(model) });
        schedulers.set(runner, scheduler);
      }
      return scheduler;
    },
    settingsOf,
    update(model, change) {
      const { maxQueueDepth, maxQueueMs, maxBatchSize, batchLatencyMs, exactBatches } = settingsOf(model);
      changed.set(model, {
        maxQueueDepth: change.maxQueueDepth ?? maxQueueDepth,
        maxQueueMs: change.maxQueueMs ?? maxQueueMs,
        maxBatchSize: change.maxBatchSize ?? maxBatchSize,
        batchLatencyMs: change.batchLatencyMs ?? batchLatencyMs,
        exactBatches: change.exactBatches ?? exactBatches,
      });
    },
  };
}
