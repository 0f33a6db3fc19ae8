import type { VersionManifest } from '../packages/manifest.ts';
import { mapInfo } from '../runners/map-info.ts';
import type { LoadedInfo, Runner } from '../runners/runner.ts';
import type { Signature } from '../tensor/signature.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import type { ReadyVersion } from './types.ts';

/** A runner that has loaded its model, and the requests that hold it. */
export interface Instance {
  readonly runner: Runner;
  readonly info: LoadedInfo;
  /** What `resolve` hands out; the same object as long as the instance lives. */
  readonly answer: ReadyVersion;
  readonly inFlight: number;
  /** When a request last took hold of it, on the `performance.now()` clock. */
  readonly lastUsedAt: number;
  /**
   * Waits until no request holds the instance, but no longer than `drainMs`, then ends its runner. Called again, the
   * shorter wait counts.
   */
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
  let lastUsedAt = performance.now();
  const idle = Promise.withResolvers<void>();
  let draining = false;
  let drained: Promise<void> | undefined;

  function acquire(): () => void {
    if (ended) {
      throw new SlipwayError('MODEL_NOT_READY', `Version ${version} of model "${model}" was just unloaded; send the request again.`, {
        retryAfterMs: 0,
      });
    }
    inFlight += 1;
    lastUsedAt = performance.now();
    let released = false;
    return () => {
      if (released) return;
      released = true;
      inFlight -= 1;
      if (inFlight === 0 && draining) idle.resolve();
    };
  }

  async function untilIdle(): Promise<void> {
    // A request that got the answer in this turn of the event loop has it in hand, but does not hold it yet.
    await new Promise((resolve) => setImmediate(resolve));
    draining = true;
    if (inFlight > 0) await idle.promise;
  }

  /** Runs go by the same process; a scheduler batches those of one signature, since it goes by the runner. */
  function bySignature(signatureName: string, signature: Signature): ReadyVersion {
    const run: Runner['run'] = (parts, outputs) => runner.run(parts, outputs, signatureName);
    return { model, version, signature, signatureName, manifest, folder, runner: mapInfo(runner, (loaded) => loaded, run), acquire };
  }

  const others = Object.entries(info.signatures ?? {});
  const signatures = others.length === 0 ? undefined : new Map(others.map(([name, each]) => [name, bySignature(name, each)]));

  return {
    runner,
    info,
    get inFlight() {
      return inFlight;
    },
    get lastUsedAt() {
      return lastUsedAt;
    },
    answer: { model, version, signature: info.signature, signatures, manifest, folder, runner, acquire },
    drain(drainMs) {
      const timer = drainMs === Infinity ? undefined : setTimeout(idle.resolve, drainMs);
      drained ??= untilIdle().then(() => {
        ended = true;
        return runner.stop();
      });
      return drained.finally(() => clearTimeout(timer));
    },
  };
}
