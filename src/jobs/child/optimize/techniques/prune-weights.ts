import { weightState } from '../../../../engines/training/state-names.ts';
import type { Trainer } from '../../../../engines/training/trainer.ts';
import type { LayersModel } from '../../../../optimization/pruning/layers-model.ts';
import { applyMasks, gradualShare, magnitudeMasks, type Masks } from '../../../../optimization/pruning/prune-weights.ts';
import type { Tensor } from '../../../../tensor/tensor.ts';
import type { LayerReport } from '../../../optimization/result.ts';
import type { Technique } from '../../../optimization/techniques.ts';
import { fineTune, shownEpochs, weightsIn } from '../fine-tune.ts';
import { withSensitivities } from '../sensitivities.ts';
import { readLayersModel, writeLayersModel } from '../layers-files.ts';
import { isLayersFormat } from '../../../../packages/formats.ts';
import { type ApplyTechnique, inapplicable } from '../technique.ts';

type PruneWeights = Extract<Technique, { kind: 'prune-weights' }>;

/** The final share is reached after so much of the steps; the rest of them trains what is left. */
const RAMP = 0.75;
/** So often on the way the weights are chosen anew. */
const CHOICES = 50;

/** A trainer that has zeros where they belong after each step. With a gradual schedule there are more of them by and by. */
function sparse(trainer: Trainer, steps: number, { share, scope, schedule }: PruneWeights, begun: Masks): Trainer {
  const every = Math.max(1, Math.floor((RAMP * steps) / CHOICES));
  let masks = begun;
  let done = 0;
  return {
    ...trainer,
    async step(batch, options) {
      const result = await trainer.step(batch, options);
      const weights = weightsIn(trainer.state());
      done += 1;
      const way = done / (RAMP * steps);
      if (schedule === 'gradual' && (done % every === 0 || way >= 1) && way < 1 + every / steps)
        masks = magnitudeMasks(weights, { share: gradualShare(share, way), scope });
      trainer.restore(
        new Map(
          [...applyMasks(weights, masks)].map(([name, { shape, data }]) => [weightState(name), { shape, data: data as Float32Array }]),
        ),
      );
      return result;
    },
  };
}

function nonZero({ data }: Tensor): number {
  return (data as Float32Array).reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
}

/** Makes the smallest weights of a TF.js layers model 0, at once or while it is trained further. */
export const pruneWeights: ApplyTechnique<PruneWeights> = async (technique, source, context) => {
  const { folder, format } = source;
  const { target, fineTuning, signal } = context;
  if (!isLayersFormat(format)) throw inapplicable(`it is a ${format} model; weights are taken out of layers models alone`);
  const model = await readLayersModel(folder);
  const { share, scope, schedule } = technique;
  /** The masks that the technique is asked for, whatever the way there is. */
  const wanted = magnitudeMasks(model.weights, { share, scope });
  const isGradual = schedule === 'gradual' && fineTuning !== undefined;
  const masks = isGradual ? magnitudeMasks(model.weights, { share: 0, scope }) : wanted;
  const begun = { ...model, weights: applyMasks(model.weights, masks) };
  await writeLayersModel(target, begun, folder);
  let pruned: LayersModel = begun;
  if (fineTuning !== undefined) {
    pruned = await fineTune(target, begun, { ...fineTuning, signal, guard: (trainer, steps) => sparse(trainer, steps, technique, masks) });
    await writeLayersModel(target, pruned, folder);
  }
  const layers: LayerReport[] = [...masks.keys()].map((name) => ({
    layer: name,
    before: model.weights.get(name)!.data.length,
    after: nonZero(pruned.weights.get(name)!),
  }));
  const [before, after] = [layers.reduce((sum, each) => sum + each.before, 0), layers.reduce((sum, each) => sum + each.after, 0)];
  const how = fineTuning === undefined ? 'it was not fine-tuned' : `${schedule} of fine-tuning over ${shownEpochs(fineTuning)}`;
  const aloneOf = ({ layer }: LayerReport): LayersModel => ({
    ...model,
    weights: applyMasks(model.weights, new Map([[layer, wanted.get(layer)!]])),
  });
  return {
    note: `${before - after} of ${before} weights are 0; ${how}`,
    layers: await withSensitivities(layers, aloneOf, source, context),
  };
};
