import { isFields } from '../../../../compiler/topology/config.ts';
import type { Technique } from '../../../optimization/techniques.ts';
import { fineTune, shownEpochs } from '../fine-tune.ts';
import { readLayersModel, writeLayersModel } from '../layers-files.ts';
import { onInt8Grid } from '../on-int8-grid.ts';
import { type ApplyTechnique, inapplicable } from '../technique.ts';

type Int8Aware = Extract<Technique, { kind: 'int8-aware' }>;

/** Layers whose kernels int8 makes integers of; their last axis is that of the channels. */
const ROUNDED: ReadonlySet<unknown> = new Set(['Dense', 'Conv1D', 'Conv2D']);

/** The kernels of such layers, at whatever depth the layers are. */
function kernelsOf(topology: unknown): string[] {
  if (Array.isArray(topology)) return topology.flatMap(kernelsOf);
  if (!isFields(topology)) return [];
  const { class_name: kind, config } = topology;
  if (ROUNDED.has(kind) && isFields(config)) return [`${String(config['name'])}/kernel`];
  return Object.values(topology).flatMap(kernelsOf);
}

/** Trains a TF.js layers model with its kernels as int8 will have them. What makes integers of them comes after it. */
export const trainOnGrid: ApplyTechnique<Int8Aware> = async (technique, { folder, format }, { target, fineTuning, signal }) => {
  if (format !== 'tfjs-layers')
    throw inapplicable(
      `its format is ${format}, and weights of TF.js layers models alone are trained here; int8 makes integers of it as it is`,
    );
  if (fineTuning === undefined) throw inapplicable('there are no rows to train on, or no epochs are wanted; int8 does without');
  const model = await readLayersModel(folder);
  const rounded = new Set(kernelsOf(model.topology).filter((name) => model.weights.has(name)));
  if (rounded.size === 0) throw inapplicable('it has no dense layer and no convolution whose weights could be rounded');
  await writeLayersModel(target, model, folder);
  const { perChannel, reduceRange } = technique;
  const guard = (trainer: Parameters<typeof onInt8Grid>[0]) => onInt8Grid(trainer, { rounded, perChannel, reduceRange });
  await writeLayersModel(target, await fineTune(target, model, { ...fineTuning, signal, guard }), folder);
  return { note: `${rounded.size} kernels were trained over ${shownEpochs(fineTuning)}, as the numbers that 8 bits can be` };
};
