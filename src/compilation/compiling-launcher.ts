import { SlipwayError, toSlipwayError } from '../errors/slipway-error.ts';
import { labelOf, type LoadedInfo, type Placement, type Runner, type RunnerLauncher, type RunnerStatus } from '../runners/runner.ts';
import type { CompiledModel, CompiledModels } from './compiled-models.ts';

/** Two digits say how close two results are. */
const SHOWN_DIGITS = 2;

/** What became of compiling, in words that go before those of the engine. */
function noteOf(compiled: CompiledModel): string {
  if (compiled.folder === undefined) return `Not compiled to ONNX: ${compiled.refusal}.`;
  const { result } = compiled;
  if (result.outcome === 'unchecked') return `Compiled from tfjs-layers to ONNX, unchecked, since ${result.reason}.`;
  const difference = result.largestDifference === 0 ? 'no' : `at most ${result.largestDifference.toPrecision(SHOWN_DIGITS)}`;
  return `Compiled from tfjs-layers to ONNX; checked against tfjs with ${difference} difference.`;
}

function withNote(status: RunnerStatus, note: string): RunnerStatus {
  if (!('info' in status) || status.info === undefined) return status;
  return { ...status, info: noted(status.info, note) };
}

function noted(info: LoadedInfo, note: string): LoadedInfo {
  return { ...info, reason: `${note} ${info.reason}` };
}

/** A runner whose process starts once it is known what to load. */
function createDeferredRunner(prepare: () => Promise<{ readonly runner: Runner; readonly note: string }>): Runner {
  const listeners: ((status: RunnerStatus) => void)[] = [];
  let inner: Runner | undefined;
  let innerNote = '';
  let failure: SlipwayError | undefined;
  let stopping: Promise<void> | undefined;

  function status(): RunnerStatus {
    if (inner !== undefined) return withNote(inner.status, innerNote);
    if (stopping !== undefined) return { state: 'stopped' };
    return failure === undefined ? { state: 'starting' } : { state: 'failed', error: failure };
  }

  function changed(): void {
    for (const listener of listeners) listener(status());
  }

  function notReady(): SlipwayError {
    if (failure !== undefined) return new SlipwayError('MODEL_FAILED', failure.message, { cause: failure });
    return new SlipwayError('MODEL_NOT_READY', stopping === undefined ? 'The model is being compiled.' : 'The runner is stopped.');
  }

  const prepared = (async () => {
    try {
      const { runner, note } = await prepare();
      inner = runner;
      innerNote = note;
      runner.onStatus(changed);
      // It was stopped while it was compiled.
      if (stopping !== undefined) await runner.stop();
    } catch (error) {
      failure = toSlipwayError(error);
      changed();
    }
  })();

  return {
    get status() {
      return status();
    },
    get restarts() {
      return inner?.restarts ?? 0;
    },
    get inFlight() {
      return inner?.inFlight ?? 0;
    },
    get instances() {
      return inner?.instances ?? [];
    },
    get concurrency() {
      return inner?.concurrency ?? 1;
    },
    onStatus: (listener) => void listeners.push(listener),
    async ready() {
      await prepared;
      if (failure !== undefined) throw failure;
      return noted(await inner!.ready(), innerNote);
    },
    run: (inputs, outputs) => (inner === undefined ? Promise.reject(notReady()) : inner.run(inputs, outputs)),
    memoryBytes: () => inner?.memoryBytes() ?? Promise.resolve(0),
    stop() {
      stopping ??= (async () => {
        if (inner === undefined) changed();
        else await inner.stop();
      })();
      return stopping;
    },
  };
}

/**
 * A launcher that has TF.js layers models compiled and serves them from ONNX Runtime, the fastest engine there is here.
 * One that cannot be compiled is served by tfjs, and its reason says why, unless its manifest asks for the engine `onnx`.
 */
export function createCompilingLauncher(launcher: RunnerLauncher, models: CompiledModels): RunnerLauncher {
  async function prepare(placement: Placement): Promise<{ runner: Runner; note: string }> {
    const compiled = await models.compiled(placement.folder, placement.threads);
    const note = noteOf(compiled);
    if (compiled.folder !== undefined) {
      const label = labelOf(placement);
      const { folder: recordedFolder } = placement;
      return { runner: launcher.launch({ ...placement, folder: compiled.folder, recordedFolder, format: 'onnx', label }), note };
    }
    if (placement.engine === 'onnx') throw new SlipwayError('COMPILE_FAILED', `${note} slipway.json asks for the engine onnx.`);
    return { runner: launcher.launch(placement), note };
  }

  return {
    launch(placement) {
      const { format, engine, backend, device } = placement;
      // CUDA is there by way of tfjs on TensorFlow.
      const isTfjs = engine === 'tfjs' || backend !== undefined || device === 'cuda';
      if (format !== 'tfjs-layers' || isTfjs) return launcher.launch(placement);
      return createDeferredRunner(() => prepare(placement));
    },
  };
}
