import { rm } from 'node:fs/promises';
import type { LayersModel } from '../../../optimization/pruning/layers-model.ts';
import type { LayerReport } from '../../optimization/result.ts';
import { copyBeside } from './beside-model.ts';
import { writeLayersModel } from './layers-files.ts';
import type { TechniqueContext, TechniqueSource } from './technique.ts';

/** More layers than this are not looked at one by one. */
const MAX_PROBED = 32;

/**
 * What each layer alone costs: the drop of the accuracy on the calibration rows. Without such rows the reports are as given.
 * @param reports a layer that has lost nothing is not looked at
 * @param aloneOf the model in which this layer alone is treated
 */
export async function withSensitivities(
  reports: readonly LayerReport[],
  aloneOf: (report: LayerReport) => LayersModel,
  { folder }: Pick<TechniqueSource, 'folder'>,
  { target, calibrationAccuracy }: Pick<TechniqueContext, 'target' | 'calibrationAccuracy'>,
): Promise<LayerReport[]> {
  if (calibrationAccuracy === undefined || reports.length > MAX_PROBED) return [...reports];
  const whole = await calibrationAccuracy(folder);
  const found: LayerReport[] = [];
  for (const report of reports) {
    if (report.after === report.before) {
      found.push(report);
      continue;
    }
    const probe = `${target}.probe`;
    try {
      await copyBeside(folder, probe);
      await writeLayersModel(probe, aloneOf(report), folder);
      found.push({ ...report, sensitivity: whole - (await calibrationAccuracy(probe)) });
    } finally {
      await rm(probe, { recursive: true, force: true });
    }
  }
  return found;
}
