import type { DatasetCatalog } from '../../datasets/catalog.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { readVersionManifest } from '../../packages/read-version.ts';
import type { Registry } from '../../registry/types.ts';
import { answeringVersion } from '../answering-version.ts';
import { targetColumn } from '../training/train-work.ts';
import type { ResolvedOptimizeSpec } from './result.ts';
import type { OptimizeSpec } from './spec.ts';

function invalid(path: string, message: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', message, { details: [{ path, message }] });
}

function versionOf({ model, version, label }: OptimizeSpec, registry: Registry): number {
  const { labels } = registry.describe(model);
  if (version !== undefined && label !== undefined)
    throw invalid('label', 'A version and a label are given; one of them says which version.');
  if (version !== undefined) return registry.describeVersion(model, version).version;
  if (label === undefined) return answeringVersion(registry, model);
  // Own: a label may be called `constructor`.
  if (!Object.hasOwn(labels, label)) throw new SlipwayError('LABEL_NOT_FOUND', `The model "${model}" has no label "${label}".`);
  return labels[label]!;
}

/**
 * Says which version is meant, for good, and refuses before the queue what can be known to be wrong.
 * @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND, LABEL_NOT_FOUND, DATASET_NOT_FOUND, COLUMN_NOT_FOUND,
 *   UNSUITABLE_DATA, INVALID_REQUEST
 */
export async function resolveOptimizeSpec(spec: OptimizeSpec, registry: Registry, datasets: DatasetCatalog): Promise<ResolvedOptimizeSpec> {
  const version = versionOf(spec, registry);
  const { label: _label, data, fineTuning: asked, ...others } = spec;
  const fineTuning =
    asked.dataset === undefined
      ? asked
      : { ...asked, target: targetColumn(datasets.describe(asked.dataset), asked.target, 'fineTuning.target') };
  const rest = { ...others, fineTuning };
  const { evaluation, classification } =
    registry.describeVersion(spec.model, version).manifest ?? (await readVersionManifest(registry.folderOf(spec.model, version)));
  if (classification?.of === 'token')
    throw invalid('model', `${spec.model}/${version} labels the tokens of texts; what is measured here is one class for each row.`);
  if (data === undefined) {
    if (evaluation === undefined) {
      const message = `There is no data to measure on: "data" is left out, and slipway.json of ${spec.model}/${version} names no evaluation set. Name a dataset with the right class of each row.`;
      throw new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path: 'data', message }] });
    }
    return { ...rest, version };
  }
  const named = typeof data === 'string' ? { dataset: data } : data;
  return { ...rest, version, data: { ...named, target: targetColumn(datasets.describe(named.dataset), named.target, 'data.target') } };
}
