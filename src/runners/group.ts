import type { LoadedInfo, Runner, RunnerLauncher, RunnerStatus } from './runner.ts';

/** What several runners are together: they can answer as long as one of them can. */
function statusOf(members: readonly Runner[], wasReady: boolean): RunnerStatus {
  const all = members.map(({ status }) => status);
  const ready = all.find((status) => status.state === 'ready');
  // To begin with all must be there, so that a version is not called ready with a part of what was asked for.
  if (ready !== undefined && (wasReady || all.every(({ state }) => state === 'ready'))) return ready;
  const failed = all.find((status) => status.state === 'failed');
  if (failed !== undefined && (!wasReady || all.every(({ state }) => state === 'failed'))) return failed;
  const restarting = all.filter((status) => status.state === 'restarting').toSorted((a, b) => a.retryAfterMs - b.retryAfterMs);
  return restarting[0] ?? all.find(({ state }) => state === 'starting') ?? all[0]!;
}

/** The runner with the least to do among those that can answer; the first when none can, which then says why. */
function leastLoaded(members: readonly Runner[]): Runner {
  let best: Runner | undefined;
  for (const member of members) {
    if (member.status.state !== 'ready') continue;
    if (best === undefined || member.inFlight < best.inFlight) best = member;
  }
  return best ?? members[0]!;
}

/** Undefined when one is. */
export function sumOf(each: readonly (number | undefined)[]): number | undefined {
  return each.reduce<number | undefined>((sum, bytes) => (sum === undefined || bytes === undefined ? undefined : sum + bytes), 0);
}

function total(members: readonly Runner[], of: (member: Runner) => number): number {
  return members.reduce((sum, member) => sum + of(member), 0);
}

/** Runners of the same placement that answer as one. When one crashes or is given up, the others go on. */
function groupRunners(members: readonly Runner[]): Runner {
  const listeners: ((status: RunnerStatus) => void)[] = [];
  let wasReady = false;

  function status(): RunnerStatus {
    return statusOf(members, wasReady);
  }

  for (const member of members) {
    member.onStatus(() => {
      const next = status();
      if (next.state === 'ready') wasReady = true;
      for (const listener of listeners) listener(next);
    });
  }

  return {
    get status() {
      return status();
    },
    get restarts() {
      return total(members, ({ restarts }) => restarts);
    },
    get concurrency() {
      const able = members.filter((member) => member.status.state === 'ready');
      return Math.max(
        1,
        total(able, ({ concurrency }) => concurrency),
      );
    },
    get inFlight() {
      return total(members, ({ inFlight }) => inFlight);
    },
    get instances() {
      return members.flatMap(({ instances }) => instances);
    },
    onStatus: (listener) => void listeners.push(listener),
    async ready(): Promise<LoadedInfo> {
      const loads = members.map((member) => member.ready());
      if (wasReady) return Promise.any(loads);
      const infos = await Promise.all(loads);
      return infos[0]!;
    },
    get deviceBytes() {
      return sumOf(members.map(({ deviceBytes }) => deviceBytes));
    },
    run: (parts, outputs, signatureName) => leastLoaded(members).run(parts, outputs, signatureName),
    async memoryBytes() {
      const each = await Promise.all(members.map((member) => member.memoryBytes()));
      return each.reduce((sum, bytes) => sum + bytes, 0);
    },
    async stop() {
      await Promise.all(members.map((member) => member.stop()));
    },
  };
}

/** A launcher that starts as many runners for a placement as it asks for. */
export function createGroupingLauncher(launcher: RunnerLauncher): RunnerLauncher {
  return {
    launch({ instances = 1, ...placement }) {
      if (instances === 1) return launcher.launch(placement);
      return groupRunners(Array.from({ length: instances }, () => launcher.launch(placement)));
    },
  };
}
