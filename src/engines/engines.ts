import { SlipwayError } from '../errors/slipway-error.ts';
import type { ModelFormat } from '../packages/formats.ts';
import { ENGINE_NAMES, type Engine, type EngineName, type LoadedModel, type LoadOptions } from './engine.ts';

/** Loaded on demand: a runner reads one engine and its native library from disk, not all of them. */
const ENGINES: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  onnx: async () => (await import('./onnx/onnx-engine.ts')).onnxEngine,
  tfjs: async () => (await import('./tfjs/tfjs-engine.ts')).tfjsEngine,
};

/** Which engines run a format, the fastest first. */
const BY_FORMAT: Readonly<Record<ModelFormat, readonly EngineName[]>> = {
  onnx: ['onnx'],
  'tfjs-layers': ['tfjs'],
  'tfjs-graph': ['tfjs'],
};

/**
 * The engine for a format: the preferred one, else the fastest that can run it.
 * @throws SlipwayError ENGINE_UNAVAILABLE when the preferred engine can't.
 */
export function chooseEngine(format: ModelFormat, preferred: EngineName | undefined): EngineName {
  const candidates = BY_FORMAT[format];
  if (preferred === undefined) return candidates[0]!;
  if (candidates.includes(preferred)) return preferred;
  throw new SlipwayError('ENGINE_UNAVAILABLE', `The engine ${preferred} does not run ${format} models; ${candidates.join(', ')} does (engines: ${ENGINE_NAMES.join(', ')}).`);
}

/** Loads a version folder on the engine that its manifest names, else on the fastest that can run it. */
export async function loadModel(options: LoadOptions & { readonly engine: EngineName | undefined }): Promise<{ engine: EngineName; model: LoadedModel }> {
  const name = chooseEngine(options.format, options.engine);
  const engine = await ENGINES[name]();
  return { engine: name, model: await engine.load(options) };
}
