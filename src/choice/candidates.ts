import type { EngineHere } from '../devices/engines-here.ts';
import type { EngineName, EngineWishes } from '../engines/engine.ts';
import { isLayersFormat, type ModelFormat } from '../packages/formats.ts';
import type { Candidate } from './choice.ts';

/** A candidate, and why it is not here where that is known without a try. */
export interface FoundCandidate extends Candidate {
  readonly absent: string | undefined;
}

/** The engines for each format; ONNX Runtime runs layers models once they are compiled. */
const ENGINES: Readonly<Record<ModelFormat, readonly EngineName[]>> = {
  onnx: ['onnx'],
  'tfjs-layers': ['onnx', 'tfjs'],
  'tfjs-graph': ['tfjs'],
  'saved-model': ['tensorflow'],
  keras: ['onnx', 'tfjs'],
  safetensors: ['onnx', 'tfjs'],
};

/** What the engine tfjs is tried on, in this order. Plain JavaScript wins with the smallest models, for a call of it costs nothing. */
const TFJS_ORDER: readonly string[] = ['wasm', 'tensorflow', 'webgpu', 'cpu'];

/**
 * All ways in which a model of a format could be run. The first one is what is taken while nothing is known of the model, and
 * what the others must agree with.
 * @param compiles whether layers models are compiled
 */
export function candidatesFor(format: ModelFormat, engines: readonly EngineHere[], compiles: boolean): readonly FoundCandidate[] {
  const names = ENGINES[format].filter((name) => compiles || !isLayersFormat(format) || name !== 'onnx');
  return names.flatMap((name) => {
    const backends = engines.find(({ engine }) => engine === name)?.backends ?? [];
    const rank = ({ backend, device }: { backend: string; device: string }): number =>
      name === 'tfjs' ? TFJS_ORDER.indexOf(backend) : Number(device !== 'cpu');
    return backends
      .toSorted((one, other) => rank(one) - rank(other))
      .map(({ backend, device, available, reason }) => ({
        engine: name,
        backend,
        device,
        absent: available === false ? reason : undefined,
      }));
  });
}

/** What is asked of a runner so that it runs a model in one way and no other. */
export function wishesFor({ engine, backend, device }: Candidate): EngineWishes {
  return { engine, device, wishedBy: 'measurement', ...(engine === 'tfjs' && { backend: backend as EngineWishes['backend'] }) };
}

export function isSame(one: Candidate, other: Candidate): boolean {
  return one.engine === other.engine && one.backend === other.backend && one.device === other.device;
}

/** `tfjs on wasm`, `onnx on webgpu`, for people. */
export function nameOf({ engine, backend, device }: Candidate): string {
  return backend === device ? `${engine} on ${device}` : `${engine} with ${backend}${device === 'cpu' ? '' : ` on ${device}`}`;
}
