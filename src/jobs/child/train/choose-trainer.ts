import { createTfjsTrainer } from '../../../engines/tfjs/training/tfjs-trainer.ts';
import type { CreateTrainer, TrainingEngine } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import { onnxTrainer } from './onnx-trainer.ts';

/** The trainer of an engine. `auto` is onnx, and tfjs with the reason for a model that cannot be trained as one graph. */
export function trainerOf(engine: TrainingEngine, threads: number): CreateTrainer {
  const onnx = onnxTrainer(threads);
  if (engine === 'onnx') return onnx;
  if (engine === 'tfjs') return createTfjsTrainer;
  return async (spec) => {
    try {
      return await onnx(spec);
    } catch (error) {
      if (!(error instanceof SlipwayError && error.code === 'COMPILE_FAILED')) throw error;
      return { ...(await createTfjsTrainer(spec)), engineReason: error.message };
    }
  };
}
