import { type LayersModel, models } from '@tensorflow/tfjs-layers';
import { messageOf, SlipwayError } from '../../../errors/slipway-error.ts';
import { registerLayers } from '../layers/register.ts';
import type { LayerConfig } from '../../training/trainer.ts';

function build(layers: readonly LayerConfig[]): Promise<LayersModel> {
  registerLayers();
  return models.modelFromJSON({
    modelTopology: { class_name: 'Sequential', config: { name: 'model', layers: structuredClone(layers) } },
  } as never);
}

/** Which layer is the first that cannot be put on those below it, and why, in words. */
async function describeFailure(layers: readonly LayerConfig[]): Promise<string> {
  // The first one is the input.
  for (let count = 2; count <= layers.length; count += 1) {
    try {
      (await build(layers.slice(0, count))).dispose();
    } catch (error) {
      const { class_name: kind, config } = layers[count - 1]!;
      return `Layer ${count - 1}, ${kind} "${String(config['name'])}", does not fit: ${messageOf(error)}`;
    }
  }
  return 'The layers do not fit together.';
}

/**
 * Puts layers on top of each other, with weights by their seeds.
 * @param frozen names of layers whose weights are not trained
 * @throws SlipwayError INVALID_ARCHITECTURE naming the layer that does not fit and why.
 */
export async function buildModel(layers: readonly LayerConfig[], frozen: readonly string[]): Promise<LayersModel> {
  let model: LayersModel;
  try {
    model = await build(layers);
  } catch (error) {
    throw new SlipwayError('INVALID_ARCHITECTURE', await describeFailure(layers), { cause: error });
  }
  for (const layer of model.layers) if (frozen.includes(layer.name)) layer.trainable = false;
  if (model.trainableWeights.length === 0) throw new SlipwayError('INVALID_ARCHITECTURE', 'No layer has weights that are trained.');
  return model;
}
