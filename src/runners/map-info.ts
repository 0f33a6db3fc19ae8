import type { LoadedInfo, Runner, RunnerStatus } from './runner.ts';

/**
 * A runner that says something else of the model that it has loaded.
 * @param map called once for each status
 * @param run in place of its own
 */
export function mapInfo(runner: Runner, map: (info: LoadedInfo) => LoadedInfo, run: Runner['run'] = runner.run): Runner {
  let last: RunnerStatus | undefined;
  let mapped: RunnerStatus | undefined;

  function statusOf(status: RunnerStatus): RunnerStatus {
    if (status !== last || mapped === undefined) {
      last = status;
      mapped = 'info' in status && status.info !== undefined ? { ...status, info: map(status.info) } : status;
    }
    return mapped;
  }

  return {
    get status() {
      return statusOf(runner.status);
    },
    get restarts() {
      return runner.restarts;
    },
    get concurrency() {
      return runner.concurrency;
    },
    get inFlight() {
      return runner.inFlight;
    },
    get instances() {
      return runner.instances;
    },
    get deviceBytes() {
      return runner.deviceBytes;
    },
    onStatus: (listener) => runner.onStatus((status) => listener(statusOf(status))),
    ready: async () => map(await runner.ready()),
    run,
    memoryBytes: runner.memoryBytes,
    stop: runner.stop,
  };
}
