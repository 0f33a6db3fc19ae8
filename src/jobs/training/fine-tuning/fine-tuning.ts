import type { Preparation, PreparationRequest } from '../../../datasets/dataset.ts';
import type { Trainer } from '../../../engines/training/trainer.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { VersionArchitecture } from '../architectures/schema.ts';
import { adopt, adoptHead, requestOf } from './adopt.ts';
import { type Parent, readParent, readParentWeights } from './parent.ts';
import { inheritedState, keepsHead, type TunedLayers, tunedLayers } from './tuned-layers.ts';

/** A training that begins with a version. */
export interface FineTuning {
  /** What is asked of the data, so that it becomes what the version reads. */
  readonly request: Pick<PreparationRequest, 'features' | 'image' | 'text'>;
  /** The preparation with the version's scaling, categories and classes. */
  adopt(preparation: Preparation): Preparation;
  /** @throws SlipwayError INVALID_ARCHITECTURE when data and layers do not go together */
  layers(preparation: Preparation): TunedLayers;
  /** Gives a trainer of these layers the weights of the version. @throws SlipwayError INVALID_MODEL */
  begin(trainer: Trainer, layers: TunedLayers): void;
  /** For the lineage. */
  readonly parent: { readonly model: string; readonly version: number; readonly weights: string };
}

function checkShape({ inputShape, model, version }: Parent, { inputs }: Preparation): void {
  const { shape } = inputs[0]!;
  if (inputShape === undefined) return;
  const fits = inputShape.length === shape.length && inputShape.every((size, axis) => size === null || size === shape[axis]);
  if (fits) return;
  const message = `Version ${version} of "${model}" takes the shape [${inputShape.join(', ')}]; the data has [${shape.join(', ')}].`;
  throw new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'architecture', message }] });
}

/** @param folder of the version. @throws SlipwayError INVALID_ARCHITECTURE, INVALID_MODEL, INVALID_MANIFEST */
export async function openFineTuning(
  architecture: VersionArchitecture & { readonly version: number },
  folder: string,
): Promise<FineTuning> {
  const { model, version } = architecture;
  const parent = await readParent(folder, { model, version });
  const { weights, digest } = await readParentWeights(folder);
  return {
    request: requestOf(parent),
    adopt: (preparation) => adopt(keepsHead(parent, preparation.target) ? adoptHead(preparation, parent) : preparation, parent),
    layers(preparation) {
      checkShape(parent, preparation);
      return tunedLayers(architecture, parent, preparation.target);
    },
    begin: (trainer, layers) => trainer.restore(inheritedState(trainer.state(), weights, layers, parent)),
    parent: { model, version, weights: digest },
  };
}
