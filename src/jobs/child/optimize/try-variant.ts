import { join } from 'node:path';
import { comparePaired } from '../../../optimization/gate/paired-accuracy.ts';
import { modelBytes } from '../../../packages/model-files.ts';
import { readVersionFolder } from '../../../packages/read-version.ts';
import type { ParentResult, TryRequest, TryResult, OptimizeRequest } from '../../optimization/result.ts';
import { makeVariant } from './make-variant.ts';
import { classesOf, comparedLatencies, fixedBatchOf, latenciesOf } from './measure.ts';
import { loadServed } from './served-model.ts';
import { multiplicationsOf, openTrial, type Trial } from './trial.ts';

function accuracyOf(classes: ArrayLike<number>, labels: ArrayLike<number>): number {
  let right = 0;
  for (let index = 0; index < labels.length; index += 1) if (classes[index] === labels[index]) right += 1;
  return right / labels.length;
}

/** Measures what is to be optimized, as it is served. */
export async function measureParent(request: OptimizeRequest, signal: AbortSignal): Promise<ParentResult> {
  const trial = await openTrial(request, signal);
  try {
    const { parent, measured, evaluation, parentClasses, report } = trial;
    const latencies = await latenciesOf(parent.model, evaluation, signal);
    return {
      data: report,
      parent: { engine: parent.engine, ...measured, accuracy: accuracyOf(parentClasses, evaluation.labels), latencies },
    };
  } finally {
    await trial.close();
  }
}

/** Gives the accuracy of versions on the calibration rows. */
function calibrator({ calibration }: Trial, { compiles, threads, folder }: TryRequest, signal: AbortSignal) {
  if (calibration === undefined) return undefined;
  return async (version: string): Promise<number> => {
    const rows = await calibration();
    const { manifest } = await readVersionFolder(version);
    const { model } = await loadServed(version, { compiles, threads, scratch: join(folder, 'probe-compiled') });
    const accuracy = accuracyOf(await classesOf(model, manifest, rows, signal), rows.labels);
    await model.dispose();
    return accuracy;
  };
}

/** Makes a variant and measures it beside its parent, in the form in which it will be served. */
export async function tryVariant(request: TryRequest, signal: AbortSignal): Promise<TryResult> {
  const { baseFolder, techniques, target, threads, bounds, compiles, folder } = request;
  const trial = await openTrial(request, signal);
  try {
    const { evaluation, parent, parentClasses, fineTuning, measured } = trial;
    const made = await makeVariant({
      source: baseFolder,
      techniques,
      target,
      threads,
      bounds,
      signal,
      fineTuning,
      batch: fixedBatchOf(parent.model),
      calibrationRows: trial.calibration,
      calibrationAccuracy: calibrator(trial, request, signal),
    });
    const { format, manifest, files } = await readVersionFolder(target);
    const variant = await loadServed(target, { compiles, threads, scratch: join(folder, 'variant-compiled') });
    const classes = await classesOf(variant.model, manifest, evaluation, signal);
    const { accuracy, ...comparison } = comparePaired(parentClasses, classes, evaluation.labels);
    const latencies = await comparedLatencies(parent.model, variant.model, evaluation, signal);
    await variant.model.dispose();
    const bytes = await modelBytes(target, format, files);
    return {
      ...made,
      measurement: {
        engine: variant.engine,
        ...bytes,
        multiplications: await multiplicationsOf(target, format),
        sizeRatio: measured.sizeBytes / bytes.sizeBytes,
        accuracy,
        comparison,
        latencies,
      },
    };
  } finally {
    await trial.close();
  }
}
