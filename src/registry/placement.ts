import type { EngineWishes } from '../engines/engine.ts';
import type { VersionManifest } from '../packages/manifest.ts';

/** What a manifest asks of the engine. */
export function wishesOf({ engine, backend, device, signature }: VersionManifest): EngineWishes {
  return { engine, backend, device, signature };
}

/** How a model is spread over the cores of a device. */
export interface Spread {
  /** Runner processes. */
  readonly instances: number;
  /** Threads of the engine in each of them, for one run. */
  readonly threads: number;
}

export interface SpreadOptions {
  /** `auto` takes what the cores allow beside the server itself, which needs one to read and write requests. */
  readonly instances: number | 'auto';
  readonly threads: number;
  readonly cores: number;
}

/** Instances and threads of a model. Several instances get no more threads together than there are cores: they would only wait for each other. */
export function spreadOver({ instances: wanted, threads: wantedThreads, cores }: SpreadOptions): Spread {
  const instances = wanted === 'auto' ? Math.max(1, Math.floor((cores - 1) / wantedThreads)) : wanted;
  const threads = instances === 1 ? wantedThreads : Math.max(1, Math.min(wantedThreads, Math.floor(cores / instances)));
  return { instances, threads };
}
