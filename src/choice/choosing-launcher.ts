import { createSemaphore } from '../concurrency/semaphore.ts';
import { takeLowestPriority } from '../concurrency/priority.ts';
import type { EngineHere } from '../devices/engines-here.ts';
import type { DeviceKind } from '../engines/engine.ts';
import { messageOf } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import { mapInfo } from '../runners/map-info.ts';
import { labelOf, type LoadedInfo, type Placement, type Runner, type RunnerLauncher } from '../runners/runner.ts';
import { createSwitchingRunner } from '../runners/switching.ts';
import { candidatesFor, type FoundCandidate, isSame, nameOf, wishesFor } from './candidates.ts';
import type { ChoiceStore, KeptChoice } from './choice-store.ts';
import type { Candidate, CandidateReport, Choice } from './choice.ts';
import { measureCandidates } from './measure.ts';

export interface ChoosingLauncherOptions {
  readonly launcher: RunnerLauncher;
  readonly store: ChoiceStore;
  /** What each engine could compute on here. */
  readonly engines: () => readonly EngineHere[];
  /** Whether layers models are compiled, as the setting `compiler.enabled`. */
  readonly compiles: boolean;
  /** As the setting `devices.choice`. */
  readonly mode: 'measured' | 'fixed';
  /** As the setting `devices.prefer`. */
  readonly prefer: DeviceKind | undefined;
  /** Whether there is room in memory for so many bytes more. */
  readonly hasRoom: (bytes: number) => boolean;
  readonly logger: Logger;
}

export interface ChoosingLauncher extends RunnerLauncher {
  /** From now on models are measured, one after the other: the server is ready, and it slows down no start. */
  begin(): void;
  /** Ends what is being measured. */
  stop(): Promise<void>;
}

/** The process that serves, one that is tried and the fastest so far. */
const MORE_PROCESSES = 2;

function untried(candidates: readonly FoundCandidate[]): CandidateReport[] {
  return candidates.map(({ absent, ...candidate }) => ({
    ...candidate,
    outcome: absent === undefined ? 'untried' : 'absent',
    reason: absent ?? '',
  }));
}

function withoutMeasurement(by: Choice['by'], reason: string, candidates: readonly FoundCandidate[] = []): Choice {
  return { by, reason, candidates: untried(candidates) };
}

/** A runner that says why it is this one; the answer may change while it runs. */
function explained(runner: Runner, choice: () => Choice): Runner {
  return mapInfo(runner, (info) => ({
    ...info,
    get choice() {
      return choice();
    },
  }));
}

function candidateOf({ engine, backend, device }: LoadedInfo): Candidate {
  return { engine, backend, device: device as DeviceKind };
}

/**
 * A launcher that runs each model in the way that is fastest here. While nothing is known of a model it runs in the usual way;
 * once the server is ready every other way that is here is tried in a process of its own and timed, what was found is kept by
 * the digest of the files, and where another way is faster and gives the same answers it takes over without a request lost.
 */
export function createChoosingLauncher(options: ChoosingLauncherOptions): ChoosingLauncher {
  const { launcher, store, engines, compiles, mode, prefer, hasRoom, logger } = options;
  const stopped = new AbortController();
  const begun = Promise.withResolvers<void>();
  /** One at a time: those that are timed would slow each other down. */
  const turn = createSemaphore(1);
  const underWay = new Set<Promise<void>>();

  async function measure(placement: Placement, candidates: readonly FoundCandidate[], signal: AbortSignal): Promise<KeptChoice | Choice> {
    const found = await measureCandidates({
      candidates,
      launch: (candidate) =>
        launcher.launch({ ...placement, label: `${labelOf(placement)} (tried)`, instances: 1, verify: undefined, ...wishesFor(candidate) }),
      onLoaded({ instances }) {
        try {
          for (const { pid } of instances) if (pid !== undefined) takeLowestPriority(pid);
        } catch {
          // It has ended, and whoever waits for it is told why.
        }
      },
      folder: placement.recordedFolder ?? placement.folder,
      signal,
    });
    const { taken, candidates: reports, problem } = found;
    if (taken === undefined) return { by: 'unmeasured', reason: problem ?? 'No candidate could be loaded.', candidates: reports };
    const choice: Choice = {
      by: 'measured',
      reason: `${nameOf(taken)} is the fastest here of those that give the same answers.`,
      measuredAt: new Date().toISOString(),
      candidates: reports,
    };
    await store
      .keep(placement, { taken, choice })
      .catch((error: unknown) => logger.warn({ reason: messageOf(error) }, 'what was measured of a model could not be kept'));
    return { taken, choice };
  }

  function launchMeasured(placement: Placement, candidates: readonly FoundCandidate[]): Runner {
    const label = labelOf(placement);
    const givenUp = new AbortController();
    const signal = AbortSignal.any([givenUp.signal, stopped.signal]);
    let choice = withoutMeasurement('pending', 'The other ways to run it are tried once the server is ready.', candidates);
    /** The way that was measured to be the fastest, while it serves. */
    let taken: Runner | undefined;

    const launchUsual = (): Runner => explained(launcher.launch(placement), () => choice);
    const launchTaken = (candidate: Candidate): Runner =>
      (taken = explained(launcher.launch({ ...placement, ...wishesFor(candidate) }), () => choice));

    const runner = createSwitchingRunner({
      preparing: 'It is being looked up how the model is run best.',
      onStop: () => givenUp.abort(),
      async prepare() {
        const known = mode === 'measured' ? await store.findFast(placement) : undefined;
        if (known === undefined) return launchUsual();
        ({ choice } = known);
        return launchTaken(known.taken);
      },
      // A GPU that is lost or full must not take the model along.
      instead(error) {
        if (taken === undefined) return undefined;
        taken = undefined;
        logger.warn({ runner: label, reason: error.message }, 'the fastest way to run a model has failed; it runs in the usual one');
        choice = { ...choice, reason: `${choice.reason} It has failed, so the usual way is taken: ${error.message}` };
        return launchUsual();
      },
    });

    async function settle(): Promise<void> {
      const info = await runner.ready().catch(() => undefined);
      // What cannot be loaded is told as such.
      if (info === undefined) return;
      if (choice.by !== 'pending') return;
      await begun.promise;
      const leave = await turn.acquire();
      try {
        signal.throwIfAborted();
        let found: KeptChoice | Choice | undefined = await store.find(placement);
        if (found === undefined) {
          const bytes = await runner.memoryBytes();
          found = hasRoom(MORE_PROCESSES * bytes)
            ? await measure(placement, candidates, signal)
            : withoutMeasurement('unmeasured', 'The memory budget leaves no room to try another way beside it.', candidates);
        }
        signal.throwIfAborted();
        if (!('taken' in found)) {
          choice = found;
          return;
        }
        if (!isSame(found.taken, candidateOf(info))) await runner.replace(launchTaken(found.taken));
        ({ choice } = found);
        logger.debug({ runner: label, taken: found.taken, candidates: choice.candidates }, 'the fastest way to run a model was chosen');
      } finally {
        leave();
      }
    }

    if (mode === 'measured') {
      const settling = settle()
        .catch((error: unknown) => {
          if (signal.aborted) return;
          choice = { ...choice, by: 'unmeasured', reason: `It could not be measured: ${messageOf(error)}` };
          logger.warn({ runner: label, reason: messageOf(error) }, 'how a model runs best could not be measured');
        })
        .finally(() => underWay.delete(settling));
      underWay.add(settling);
    }
    return runner;
  }

  return {
    launch(placement) {
      const { engine, backend, device, format } = placement;
      if (engine !== undefined || backend !== undefined || device !== undefined) {
        const choice = withoutMeasurement('manifest', 'slipway.json asks for it.');
        return explained(launcher.launch(placement), () => choice);
      }
      const candidates = candidatesFor(format, engines(), compiles);
      if (prefer !== undefined) {
        const choice = withoutMeasurement('setting', `The setting devices.prefer asks for ${prefer}.`, candidates);
        return explained(launcher.launch({ ...placement, device: prefer, wishedBy: 'setting' }), () => choice);
      }
      if (mode === 'fixed') {
        const choice = withoutMeasurement(
          'setting',
          'The setting devices.choice is fixed: the first that can run it is taken.',
          candidates,
        );
        return explained(launcher.launch(placement), () => choice);
      }
      if (candidates.filter(({ absent }) => absent === undefined).length <= 1) {
        const choice = withoutMeasurement('single', 'Nothing else here can run it.', candidates);
        return explained(launcher.launch(placement), () => choice);
      }
      return launchMeasured(placement, candidates);
    },
    begin: () => begun.resolve(),
    async stop() {
      stopped.abort();
      begun.resolve();
      await Promise.allSettled(underWay);
    },
  };
}
