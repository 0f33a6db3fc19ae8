import { compileLayersModel } from '../../../../compiler/compile.ts';
import { type LayersModel, storedWeights } from '../../../../optimization/pruning/layers-model.ts';
import { multiplications } from '../../../../optimization/pruning/multiplications.ts';
import { pruneChannels } from '../../../../optimization/pruning/prune-channels.ts';
import type { Technique } from '../../../optimization/techniques.ts';
import { fineTune, shownEpochs } from '../fine-tune.ts';
import { readLayersModel, writeLayersModel } from '../layers-files.ts';
import { isLayersFormat } from '../../../../packages/formats.ts';
import { withSensitivities } from '../sensitivities.ts';
import { type ApplyTechnique, inapplicable } from '../technique.ts';

type PruneFilters = Extract<Technique, { kind: 'prune-filters' }>;

function multiplicationsOf({ topology, weights }: LayersModel): number {
  return multiplications(compileLayersModel(topology, storedWeights(weights)));
}

/** Takes filters, neurons and heads out of a TF.js layers model and trains what is left. */
export const pruneFilters: ApplyTechnique<PruneFilters> = async (technique, source, context) => {
  const { folder, format } = source;
  const { target, fineTuning, signal } = context;
  if (!isLayersFormat(format)) throw inapplicable(`it is a ${format} model; channels are taken out of layers models alone`);
  const model = await readLayersModel(folder);
  const pruned = pruneChannels(model, technique);
  const { layers } = pruned;
  const known = new Set(layers.map(({ layer }) => layer));
  const unknown = technique.layers?.filter((name) => !known.has(name)) ?? [];
  if (unknown.length > 0)
    throw inapplicable(`no channel can go out of ${unknown.join(', ')}; those that can be pruned are ${[...known].join(', ')}`);
  if (!layers.some(({ before, after }) => after < before))
    throw inapplicable('no channel of it can go: all are tied to what goes in or comes out');
  const aloneOf = ({ layer }: { readonly layer: string }): LayersModel =>
    pruneChannels(model, { share: technique.share, scope: 'layer', layers: [layer] });
  const reports = await withSensitivities(layers, aloneOf, source, context);
  await writeLayersModel(target, pruned, folder);
  const [before, after] = [multiplicationsOf(model), multiplicationsOf(pruned)];
  const what = `${layers.map((each) => `${each.layer} ${each.before} → ${each.after}`).join(', ')}; ${before} multiplications became ${after}`;
  if (fineTuning === undefined) return { note: `channels went: ${what}; it was not fine-tuned`, layers: reports };
  await writeLayersModel(target, await fineTune(target, pruned, { ...fineTuning, signal }), folder);
  return { note: `channels went: ${what}; then it was fine-tuned over ${shownEpochs(fineTuning)}`, layers: reports };
};
