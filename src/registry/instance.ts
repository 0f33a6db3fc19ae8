import type { VersionManifest } from '../packages/manifest.ts';
import type { LoadedInfo, Runner } from '../runners/runner.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { ReadyVersion } from './types.ts';

/** A runner that has loaded its model, and the requests that hold it. */
export interface Instance {
  readonly runner: Runner;
  readonly info: LoadedInfo;
  /** What `resolve` hands out; the same object as long as the instance lives. */
  readonly answer: ReadyVersion;
  /** Waits until no request holds the instance, but no longer than `drainMs`, then ends its runner. */
  drain(drainMs: number): Promise<void>;
}

export interface InstanceOptions {
  readonly model: string;
  readonly version: number;
  readonly manifest: VersionManifest;
  readonly folder: string;
  readonly runner: Runner;
  readonly info: LoadedInfo;
}

export function createInstance({ model, version, manifest, folder, runner, info }: InstanceOptions): Instance {
  let inFlight = 0;
  let ended = false;
  let onIdle: (() => void) | undefined;
  let drained: Promise<void> | undefined;

  function acquire(): () => void {
    if (ended) {
      throw new SlipwayError('MODEL_NOT_READY', `Version ${version} of model "${model}" was just unloaded; send the request again.`, {
        retryAfterMs: 0,
      });
    }
    inFlight += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      inFlight -= 1;
      if (inFlight === 0) onIdle?.();
    };
  }

  async function idle(drainMs: number): Promise<void> {
    if (inFlight === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, drainMs);
    onIdle = resolve;
    await promise;
    clearTimeout(timer);
  }

  return {
    runner,
    info,
    answer: { model, version, signature: info.signature, manifest, folder, runner, acquire },
    drain(drainMs) {
      drained ??= idle(drainMs).then(() => {
        ended = true;
        return runner.stop();
      });
      return drained;
    },
  };
}
