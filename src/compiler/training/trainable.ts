import { SlipwayError } from '../../errors/slipway-error.ts';
import type { LoweredWeight } from '../lowering/lower-model.ts';
import { type Fields, isFields } from '../topology/config.ts';
import type { Model } from '../topology/model.ts';

/** Layers that compute something else in training than when they serve, which the lowering leaves out. */
const DIFFERENT_IN_TRAINING: ReadonlySet<string> = new Set([
  'ActivityRegularization',
  'AlphaDropout',
  'BatchNormalization',
  'Dropout',
  'GaussianDropout',
  'GaussianNoise',
  'SpatialDropout1D',
  'SpatialDropout2D',
  'SpatialDropout3D',
]);

const RATES = ['dropout', 'recurrent_dropout'];

/** @param name of the layer in the model that it is in, or that it is wrapped in. */
function checkLayer(name: string, className: string, fields: Fields): void {
  const refuse = (what: string): never => {
    const message = `The layer "${name}" (${className}) ${what}, which a training step in one graph does not do yet.`;
    throw new SlipwayError('COMPILE_FAILED', `${message} The engine tfjs trains it.`);
  };
  if (DIFFERENT_IN_TRAINING.has(className)) refuse('computes something else in training');
  for (const [key, value] of Object.entries(fields)) {
    if (RATES.includes(key) && value !== 0 && value !== null) refuse(`drops inputs at random ("${key}")`);
    if (key.endsWith('_regularizer') && value !== null) refuse(`adds a penalty to the loss ("${key}")`);
    if (!isFields(value)) continue;
    const { class_name: inner, config } = value;
    if (typeof inner === 'string' && isFields(config)) checkLayer(name, inner, config);
  }
}

function checkLayers(model: Model): void {
  for (const layer of model.layers.values()) {
    if (layer.model === undefined) checkLayer(layer.name, layer.className, layer.config.fields);
    else checkLayers(layer.model);
  }
}

/**
 * Refuses models that would be trained otherwise than their layers say.
 * @param names of all weights in the model's files.
 * @throws SlipwayError COMPILE_FAILED, naming the layer or the weight
 */
export function checkTrainable(model: Model, names: Iterable<string>, lowered: readonly LoweredWeight[]): void {
  checkLayers(model);
  for (const name of names) {
    const values = lowered.filter((weight) => weight.name === name).length;
    if (values === 1) continue;
    const what = values === 0 ? 'is not in the graph as it is in the file' : 'is in the graph in several orders';
    throw new SlipwayError('COMPILE_FAILED', `The weight "${name}" ${what}, so it cannot be trained there. The engine tfjs trains it.`);
  }
}
