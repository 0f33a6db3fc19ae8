import type { InputSpec, PreparationRequest, TargetSpec } from '../../datasets/dataset.ts';
import type { LayerConfig, TrainerSpec } from '../../engines/training/trainer.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { layersOf } from './architectures/layers-of.ts';
import { type Shape, shapeLayers, shownShape } from './architectures/layer-shapes.ts';
import type { Architecture } from './architectures/schema.ts';
import type { TunedLayers } from './fine-tuning/tuned-layers.ts';
import { givenTokenizer } from './given-tokenizer.ts';
import type { TrainSpec } from './spec.ts';

/** What the job asks of the dataset. */
export function preparationRequestOf(spec: TrainSpec): PreparationRequest {
  const { target, task, features, split, image, text, scaling, unknownCategories } = spec;
  const json = givenTokenizer(spec);
  const tokenizer = json === undefined ? text?.tokenizer : { json };
  return {
    target,
    task,
    features,
    split,
    image,
    text: text && { ...text, tokenizer },
    scaling,
    unknownCategories,
  } as PreparationRequest;
}

function unsuitable(path: string, message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path, message }] });
}

function classWeightsOf({ classWeights }: TrainSpec, target: TargetSpec): readonly number[] | undefined {
  if (classWeights === undefined) return undefined;
  if (target.kind !== 'class' && target.kind !== 'tags') {
    const what = target.kind === 'token' ? 'the task next-token has none' : 'the target is a number';
    throw unsuitable('classWeights', `classWeights are for classes; ${what}.`);
  }
  if (classWeights === 'balanced') {
    const total = target.counts.reduce((sum, count) => sum + count, 0);
    return target.counts.map((count) => (count === 0 ? 0 : total / (target.labels.length * count)));
  }
  for (const label of Object.keys(classWeights)) {
    if (!target.labels.includes(label))
      throw unsuitable(
        'classWeights',
        `classWeights names "${label}", which is no class of "${target.column}": ${target.labels.join(', ')}.`,
      );
  }
  return target.labels.map((label) => classWeights[label] ?? 1);
}

/** The shape that the last layer is to give, and why. */
function wantedShape(target: TargetSpec, input: InputSpec): { readonly shape: Shape; readonly why: string } | undefined {
  switch (target.kind) {
    case 'class':
      return { shape: [target.labels.length], why: `"${target.column}" has ${target.labels.length} classes` };
    case 'number':
      return { shape: [target.width], why: `"${target.column}" is ${target.width === 1 ? 'a number' : `${target.width} numbers`}` };
    case 'tags':
      return {
        shape: [input.shape[0]!, target.labels.length],
        why: `"${target.column}" has one of ${target.labels.length} labels for each token`,
      };
    case 'token':
      return { shape: [input.shape[0]!, target.vocabularySize], why: 'each token of a text is continued' };
    case 'none':
      return undefined;
  }
}

function checkOutput(layers: readonly LayerConfig[], output: Shape | undefined, target: TargetSpec, input: InputSpec): void {
  const wanted = wantedShape(target, input);
  if (output === undefined || wanted === undefined) return;
  const { shape, why } = wanted;
  // NaN is equal to nothing, and different from nothing.
  if (output.length === shape.length && shape.every((size, axis) => !(size < output[axis]! || size > output[axis]!))) return;
  const { class_name: kind, config } = layers.at(-1)!;
  const message = `The last layer, ${kind} "${String(config['name'])}", gives the shape ${shownShape(output)}, but ${why}: that needs ${shownShape(shape)}.`;
  throw new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'architecture', message }] });
}

/** A layer that looks at a batch as a whole would see its parts. */
function checkParts(layers: readonly LayerConfig[], frozen: readonly string[]): void {
  const index = layers.findIndex(
    ({ class_name: kind, config }) => kind === 'BatchNormalization' && !frozen.includes(String(config['name'])),
  );
  if (index < 0) return;
  const message = `Layer ${index}, BatchNormalization "${String(layers[index]!.config['name'])}", normalizes by the whole batch, so it cannot be computed in microBatches.`;
  throw new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'microBatches', message }] });
}

/**
 * What is trained for a target. It may be asked before the data is looked through: sizes that are NaN are not known yet.
 * @param tuned the layers of a version that is trained further
 * @throws SlipwayError INVALID_ARCHITECTURE naming the layer and why; UNSUITABLE_DATA
 */
export function trainerSpecOf(spec: TrainSpec, target: TargetSpec, input: InputSpec, tuned: TunedLayers | undefined): TrainerSpec {
  const isClassified = target.kind === 'class' || target.kind === 'tags' || target.kind === 'token';
  const byDefault = isClassified ? 'cross-entropy' : 'mean-squared-error';
  const loss = spec.loss ?? byDefault;
  if ((loss === 'cross-entropy') !== isClassified) {
    const what = target.kind === 'token' ? 'task next-token' : `target "${spec.target}"`;
    throw unsuitable('loss', `The loss ${loss} does not fit the ${what}; take ${byDefault}.`);
  }
  const { learningRate: _rate, ...optimizer } = spec.optimizer;
  const architecture = tuned === undefined ? spec.architecture : { kind: 'layers', layers: tuned.layers };
  const { layers, output } = shapeLayers(layersOf(architecture as Architecture, input, target, spec.seed), input.shape);
  checkOutput(layers, output, target, input);
  if (spec.microBatches > 1) checkParts(layers, tuned?.frozen ?? []);
  return {
    layers,
    loss,
    optimizer,
    clipping: spec.clipping,
    classWeights: classWeightsOf(spec, target),
    ...(spec.teacher && { distillation: { temperature: spec.teacher.temperature, weight: spec.teacher.weight } }),
    frozen: tuned?.frozen ?? [],
    seed: spec.seed,
    microBatches: spec.microBatches,
  };
}
