import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { Engine, LoadedModel, LoadOptions } from '../engine.ts';
import { activateBackend, activeThreads, type BackendName, type BackendOptions, BACKENDS, isActive } from './backend.ts';
import { createExecution, type Execution } from './execution.ts';
import { MODEL_FILE, readModelFile } from '../../packages/tfjs/model-file.ts';
import type { TfjsModel } from './tfjs-model.ts';
import { tryModel, type TrialResult } from './trial.ts';
import { readWeights } from '../../packages/tfjs/read-weights.ts';

export interface TfjsEngineOptions {
  /** Backends to try, in this order; by default all, fastest first. */
  readonly backends?: readonly BackendName[];
}

interface Started {
  readonly backend: BackendName;
  /** Why the backends before it were not taken; empty for the first. */
  readonly passedOver: string;
}

interface Chosen extends Started {
  readonly trial: TrialResult;
}

/** Activates the first backend that starts. @throws SlipwayError ENGINE_UNAVAILABLE when none does. */
async function firstBackend(backends: readonly BackendName[], options: BackendOptions): Promise<Started> {
  const problems: string[] = [];
  for (const backend of backends) {
    const problem = await activateBackend(backend, options);
    if (problem === undefined) return { backend, passedOver: problems.join(' ') };
    problems.push(`Its ${backend} backend was not taken: ${problem.replace(/\.$/, '')}.`);
  }
  throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs has no backend here. ${problems.join(' ')}`);
}

async function readModel({ folder, format }: LoadOptions): Promise<TfjsModel> {
  const file = await readModelFile(folder);
  const weights = await readWeights(folder, file.weightsManifest);
  try {
    if (format === 'tfjs-layers') return await (await import('./layers-model.ts')).loadLayers(file, weights);
    return await (await import('./graph-model.ts')).loadGraph(file, weights);
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    const message = messageOf(error);
    if (message.includes('Unknown layer'))
      throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs cannot run ${MODEL_FILE}: ${message}`, { cause: error });
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} cannot be loaded. tfjs says: ${message}`, { cause: error });
  }
}

/** The signature with the dtypes that a run gave; not every file states those of its outputs, or states them right. */
function withTriedDtypes(signature: Signature, trial: TrialResult): Signature {
  if (trial.outcome !== 'ran') return signature;
  return {
    inputs: signature.inputs,
    outputs: signature.outputs.map((spec) => ({ ...spec, dtype: trial.outputs.get(spec.name)?.dtype ?? spec.dtype })),
  };
}

/** What tfjs said, to end a sentence with. */
function saidBy(message: string): string {
  return message.replace(/^tfjs failed: /, '').replace(/\.?\s*$/, '');
}

function reasonOf({ backend, passedOver, trial }: Chosen, threads: number): string {
  const onThreads = threads === 1 ? '' : ` and ${threads} threads`;
  const kinds: Readonly<Record<BackendName, string>> = {
    tensorflow: 'tfjs on native TensorFlow.',
    wasm: `tfjs on WebAssembly with SIMD${onThreads}.`,
    cpu: 'tfjs in plain JavaScript, which is slow.',
  };
  const sentences = [kinds[backend]];
  if (passedOver !== '') sentences.push(passedOver);
  if (trial.outcome === 'failed') sentences.push(`A trial run on zeros failed, and requests may fail too: ${saidBy(trial.error.message)}.`);
  return sentences.join(' ');
}

/** Tries the model on the active backend and, when that fails, on those after it. Leaves the chosen one active. */
async function chooseBackend(
  backends: readonly BackendName[],
  started: Started,
  signature: Signature,
  execute: Execution,
  options: BackendOptions,
): Promise<Chosen> {
  const trial = await tryModel(signature, execute);
  if (trial.outcome === 'ran') return { ...started, trial };
  for (const backend of backends.slice(backends.indexOf(started.backend) + 1)) {
    if ((await activateBackend(backend, options)) !== undefined) continue;
    const next = await tryModel(signature, execute);
    if (next.outcome === 'ran') {
      const passedOver = `Its ${started.backend} backend was not taken for this model: ${saidBy(trial.error.message)}.`;
      return { backend, passedOver, trial: next };
    }
  }
  if (/Unknown op '/.test(trial.error.message)) {
    throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs cannot run ${MODEL_FILE}: ${saidBy(trial.error.message)}.`, { cause: trial.error });
  }
  // No backend liked zeros of these sizes; that says nothing about real inputs.
  await activateBackend(started.backend, options);
  return { ...started, trial };
}

/** TF.js layers and graph models. It computes on the calling thread and event loop, so it belongs into a runner process. */
export function createTfjsEngine({ backends = BACKENDS }: TfjsEngineOptions = {}): Engine {
  async function load(options: LoadOptions): Promise<LoadedModel> {
    const started = await firstBackend(backends, options);
    const loaded = await readModel(options);
    const execute = createExecution(loaded);
    let chosen: Chosen;
    try {
      chosen = await chooseBackend(backends, started, loaded.signature, execute, options);
    } catch (error) {
      loaded.dispose();
      throw error;
    }
    loaded.reset?.();
    return {
      signature: withTriedDtypes(loaded.signature, chosen.trial),
      backend: chosen.backend,
      device: 'cpu',
      reason: reasonOf(chosen, await activeThreads()),
      async run(inputs, outputs) {
        // tfjs has one backend for the whole process; another model may have changed it.
        if (!isActive(chosen.backend)) await activateBackend(chosen.backend, options);
        return execute(inputs, outputs);
      },
      isTried: true,
      ...(loaded.reset && { reset: () => loaded.reset?.() }),
      dispose: async () => loaded.dispose(),
    };
  }

  return { name: 'tfjs', formats: ['tfjs-layers', 'tfjs-graph'], load };
}
