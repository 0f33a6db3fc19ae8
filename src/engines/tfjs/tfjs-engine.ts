import * as tf from '@tensorflow/tfjs-core';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { Engine, LoadedModel, LoadOptions, TfjsBackend } from '../engine.ts';
import { activateBackend, type BackendOptions, BACKENDS, isActive, placeOf } from './backend.ts';
import { answersOf, disagreement, type Expected } from './gpu-check.ts';
import { createExecution, type Execution } from './execution.ts';
import { isLayersFormat, LAYERS_FORMATS, type LayersFormat } from '../../packages/formats.ts';
import { openLayersModel } from '../../packages/layers-model.ts';
import { MODEL_FILE, readModelFile } from '../../packages/tfjs/model-file.ts';
import type { TfjsModel } from './tfjs-model.ts';
import { tryModel, type TrialResult } from './trial.ts';
import { readWeights } from '../../packages/tfjs/read-weights.ts';

export interface TfjsEngineOptions {
  /** Backends to try, in this order; by default all, fastest first. */
  readonly backends?: readonly TfjsBackend[];
}

interface Started {
  readonly backend: TfjsBackend;
  /** Why the backends before it were not taken; empty for the first. */
  readonly passedOver: string;
}

interface Chosen extends Started {
  readonly trial: TrialResult;
}

/** Activates the first backend that starts. @throws SlipwayError ENGINE_UNAVAILABLE when none does. */
async function firstBackend(backends: readonly TfjsBackend[], options: BackendOptions): Promise<Started> {
  const problems: string[] = [];
  for (const backend of backends) {
    const problem = await activateBackend(backend, options);
    if (problem === undefined) return { backend, passedOver: problems.join(' ') };
    problems.push(`Its ${backend} backend was not taken: ${problem.replace(/\.$/, '')}.`);
  }
  throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs has no backend here. ${problems.join(' ')}`);
}

async function readLayers(folder: string, format: LayersFormat): Promise<TfjsModel> {
  const { topology, files, weights } = await openLayersModel(folder, format);
  const read = await weights();
  return saying(files[0]!, async () => (await import('./layers-model.ts')).loadLayers(topology, read));
}

async function readGraph(folder: string): Promise<TfjsModel> {
  const file = await readModelFile(folder);
  const weights = await readWeights(folder, file.weightsManifest);
  return saying(MODEL_FILE, async () => (await import('./graph-model.ts')).loadGraph(file, weights));
}

/** Loads a model; what tfjs says of it comes with the name of its file. */
async function saying(file: string, load: () => Promise<TfjsModel>): Promise<TfjsModel> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    const message = messageOf(error);
    if (message.includes('Unknown layer'))
      throw new SlipwayError('ENGINE_UNAVAILABLE', `tfjs cannot run ${file}: ${message}`, { cause: error });
    throw new SlipwayError('INVALID_MODEL', `${file} cannot be loaded. tfjs says: ${message}`, { cause: error });
  }
}

function readModel({ folder, format }: LoadOptions): Promise<TfjsModel> {
  return isLayersFormat(format) ? readLayers(folder, format) : readGraph(folder);
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

function reasonOf({ passedOver, trial }: Chosen, ofBackend: string): string {
  const sentences = [ofBackend];
  if (passedOver !== '') sentences.push(passedOver);
  if (trial.outcome === 'failed') sentences.push(`A trial run on zeros failed, and requests may fail too: ${saidBy(trial.error.message)}.`);
  return sentences.join(' ');
}

/** The backends to try for a model: what its manifest asks for, else those of the engine. */
function backendsFor({ backend, device }: LoadOptions, backends: readonly TfjsBackend[]): readonly TfjsBackend[] {
  if (backend !== undefined) return [backend];
  if (device === 'webgpu') return ['webgpu', ...backends];
  return device === 'cuda' ? ['tensorflow', ...backends] : backends;
}

/** Tries the model on the active backend and, when that fails, on those after it. Leaves the chosen one active. */
async function chooseBackend(
  backends: readonly TfjsBackend[],
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

/** What the CPU answers, to hold a GPU to; undefined where no GPU is asked for or there is none, or who asks has measured it. */
async function expectedOf(options: LoadOptions, backends: readonly TfjsBackend[]): Promise<readonly Expected[] | undefined> {
  if (backends[0] !== 'webgpu' || options.wishedBy === 'measurement') return undefined;
  if ((await activateBackend('webgpu', options)) !== undefined) return undefined;
  // In this order, for weights can be moved to a GPU and not back.
  const started = await firstBackend(BACKENDS, options);
  if (started.backend !== 'wasm') return undefined;
  const model = await readModel(options);
  try {
    return await answersOf(model);
  } finally {
    model.dispose();
  }
}

/** Why the GPU is not to be taken; undefined when nothing speaks against it. */
async function objectionTo(execute: Execution, expected: readonly Expected[] | undefined): Promise<string | undefined> {
  if (expected === undefined) return undefined;
  try {
    return await disagreement(execute, expected);
  } catch (error) {
    return `it fails on inputs that the CPU takes: ${saidBy(messageOf(error))}`;
  }
}

/** What tfjs has taken of the memory of the GPU in this process, in bytes. */
function gpuBytes(): number {
  return (tf.memory() as tf.MemoryInfo & { numBytesAllocatedInGPU?: number }).numBytesAllocatedInGPU ?? 0;
}

/** TF.js layers and graph models. It computes on the calling thread and event loop, so it belongs into a runner process. */
export function createTfjsEngine({ backends: own = BACKENDS }: TfjsEngineOptions = {}): Engine {
  async function load(options: LoadOptions): Promise<LoadedModel> {
    return loadOn(backendsFor(options, own), options);
  }

  async function loadOn(backends: readonly TfjsBackend[], options: LoadOptions, turnedDown = ''): Promise<LoadedModel> {
    const expected = await expectedOf(options, backends);
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
    const difference = chosen.backend === 'webgpu' ? await objectionTo(execute, expected) : undefined;
    loaded.reset?.();
    if (difference !== undefined) {
      loaded.dispose();
      return loadOn(BACKENDS, options, `Its webgpu backend was not taken: ${difference}.`);
    }
    const { device, reason } = await placeOf(chosen.backend);
    return {
      signature: withTriedDtypes(loaded.signature, chosen.trial),
      backend: chosen.backend,
      device,
      reason: [reasonOf(chosen, reason), turnedDown].filter((each) => each !== '').join(' '),
      async run(inputs, outputs) {
        // tfjs has one backend for the whole process; another model may have changed it.
        if (!isActive(chosen.backend)) await activateBackend(chosen.backend, options);
        return execute(inputs, outputs);
      },
      isTried: true,
      ...(chosen.backend === 'webgpu' && { deviceBytes: gpuBytes }),
      ...(loaded.reset && { reset: () => loaded.reset?.() }),
      dispose: async () => loaded.dispose(),
    };
  }

  return { name: 'tfjs', formats: [...LAYERS_FORMATS, 'tfjs-graph'], load };
}
