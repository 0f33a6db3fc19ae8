import { mkdir } from 'node:fs/promises';
import type { LoadedModel } from '../../../engines/engine.ts';
import { loadModel } from '../../../engines/engines.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { isLayersFormat, type ModelFormat } from '../../../packages/formats.ts';
import { readVersionFolder } from '../../../packages/read-version.ts';

export interface ServeOptions {
  /** As the setting `compiler.enabled`. */
  readonly compiles: boolean;
  readonly threads: number;
  /** Absolute path of a folder for the compiled form; it is made when it is needed. */
  readonly scratch: string;
}

export interface ServedModel {
  readonly model: LoadedModel;
  /** What answers, e.g. `onnx cpu, compiled`. */
  readonly engine: string;
}

/** Loads a version as the server would: TF.js layers models compiled, where they can be. @throws SlipwayError as engines do */
export async function loadServed(folder: string, { compiles, threads, scratch }: ServeOptions): Promise<ServedModel> {
  const { format, manifest } = await readVersionFolder(folder);
  const open = async (path: string, as: ModelFormat, engine: typeof manifest.engine, how: string): Promise<ServedModel> => {
    const loaded = await loadModel({ folder: path, format: as, threads, engine });
    return { model: loaded.model, engine: `${loaded.engine} ${loaded.model.backend}${how}` };
  };
  if (!isLayersFormat(format) || !compiles || manifest.engine === 'tfjs') return open(folder, format, manifest.engine, '');
  await mkdir(scratch, { recursive: true });
  // It holds the compiled form to tfjs, which takes a while to load.
  const { compileVersion } = await import('../compile/compile-version.ts');
  try {
    await compileVersion({ folder, target: scratch, threads });
  } catch (error) {
    if (!(error instanceof SlipwayError && error.code === 'COMPILE_FAILED') || manifest.engine === 'onnx') throw error;
    return open(folder, format, undefined, '');
  }
  return open(scratch, 'onnx', undefined, ', compiled');
}
