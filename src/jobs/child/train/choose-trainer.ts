import type { TrainingBackend } from '../../../engines/tfjs/training/open-model.ts';
import { tfjsTrainer } from '../../../engines/tfjs/training/tfjs-trainer.ts';
import type { CreateTrainer, TrainingEngine } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { onnxTrainer } from './onnx-trainer.ts';

/** The trainer of an engine. `auto` is onnx, and tfjs with the reason for a model that cannot be trained as one graph. */
export function trainerOf(engine: TrainingEngine, threads: number, backend: TrainingBackend = {}): CreateTrainer {
  const tfjs = tfjsTrainer({ ...backend, threads });
  const onnx = onnxTrainer(threads);
  if (engine === 'onnx') return onnx;
  if (engine === 'tfjs') return tfjs;
  return async (spec) => {
    try {
      return await onnx(spec);
    } catch (error) {
      if (!(error instanceof SlipwayError && error.code === 'COMPILE_FAILED')) throw error;
      return { ...(await tfjs(spec)), engineReason: error.message };
    }
  };
}
