import { SlipwayError } from '../errors/slipway-error.ts';
import { isLayersFormat, type ModelFormat } from '../packages/formats.ts';
import { mapInfo } from '../runners/map-info.ts';
import { labelOf, type Placement, type Runner, type RunnerLauncher } from '../runners/runner.ts';
import { createSwitchingRunner } from '../runners/switching.ts';
import type { CompiledModel, CompiledModels } from './compiled-models.ts';

/** Two digits say how close two results are. */
const SHOWN_DIGITS = 2;

/** What became of compiling, in words that go before those of the engine. */
function noteOf(compiled: CompiledModel, format: ModelFormat): string {
  if (compiled.folder === undefined) return `Not compiled to ONNX: ${compiled.refusal}.`;
  const { result } = compiled;
  if (result.outcome === 'unchecked') return `Compiled from ${format} to ONNX, unchecked, since ${result.reason}.`;
  const difference = result.largestDifference === 0 ? 'no' : `at most ${result.largestDifference.toPrecision(SHOWN_DIGITS)}`;
  return `Compiled from ${format} to ONNX; checked against tfjs with ${difference} difference.`;
}

/**
 * A launcher that has layers models compiled and serves them from ONNX Runtime, the fastest engine there is here.
 * One that cannot be compiled is served by tfjs, and its reason says why, unless its manifest asks for the engine `onnx`.
 */
export function createCompilingLauncher(launcher: RunnerLauncher, models: CompiledModels): RunnerLauncher {
  async function prepare(placement: Placement): Promise<Runner> {
    const compiled = await models.compiled(placement.folder, placement.threads);
    const note = noteOf(compiled, placement.format);
    const noted = (runner: Runner): Runner => mapInfo(runner, (info) => ({ ...info, reason: `${note} ${info.reason}` }));
    if (compiled.folder !== undefined) {
      const label = labelOf(placement);
      const { folder: recordedFolder } = placement;
      return noted(launcher.launch({ ...placement, folder: compiled.folder, recordedFolder, format: 'onnx', label }));
    }
    if (placement.engine === 'onnx') {
      const asked = placement.wishedBy === 'measurement' ? '' : ' slipway.json asks for the engine onnx.';
      throw new SlipwayError('COMPILE_FAILED', `${note}${asked}`);
    }
    return noted(launcher.launch(placement));
  }

  return {
    launch(placement) {
      const { format, engine, backend, device } = placement;
      // CUDA is there by way of tfjs on TensorFlow, unless ONNX Runtime is asked for.
      const isTfjs = engine === 'tfjs' || backend !== undefined || (device === 'cuda' && engine !== 'onnx');
      if (!isLayersFormat(format) || isTfjs) return launcher.launch(placement);
      return createSwitchingRunner({ prepare: () => prepare(placement), preparing: 'The model is being compiled.' });
    },
  };
}
