import type { TargetSpec } from '../../../datasets/dataset.ts';
import type { LayerConfig, TrainerState, Values } from '../../../engines/training/trainer.ts';
import { isWeightState, weightState } from '../../../engines/training/state-names.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';
import type { VersionArchitecture } from '../architectures/schema.ts';
import { hasSameClasses } from './adopt.ts';
import type { Parent } from './parent.ts';

/** What is trained of a version. */
export interface TunedLayers {
  readonly layers: readonly LayerConfig[];
  /** Names of those whose weights stay as they are. */
  readonly frozen: readonly string[];
  /** Name of the new last layer; undefined when that of the version is kept. */
  readonly newHead: string | undefined;
}

function invalid(path: string, message: string): SlipwayError {
  return new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: `architecture.${path}`, message }] });
}

const nameOf = ({ config }: LayerConfig): string => String(config['name']);

function lastWithWeights({ layers, weighted }: Parent): number {
  return layers.findLastIndex((layer) => weighted.has(nameOf(layer)));
}

/** Whether the layers to be frozen are there, and leave something to train. @throws SlipwayError INVALID_ARCHITECTURE */
export function checkFrozen({ frozen }: VersionArchitecture, parent: Parent): void {
  if (frozen === 'all-but-last') return;
  const names = new Set(parent.layers.map(nameOf));
  const { model, version } = parent;
  for (const [index, name] of frozen.entries()) {
    if (!names.has(name))
      throw invalid(
        `frozen[${index}]`,
        `Version ${version} of "${model}" has no layer "${name}"; those with weights are ${[...parent.weighted].join(', ')}.`,
      );
  }
  if ([...parent.weighted].every((name) => frozen.includes(name)))
    throw invalid('frozen', `Every layer of version ${version} of "${model}" that has weights is frozen; nothing is left to train.`);
}

/** Whether the last layer of a version gives what the target asks for. */
export function keepsHead(parent: Parent, target: TargetSpec): boolean {
  const { layers, labels } = parent;
  const head = layers[lastWithWeights(parent)];
  const { activation } = layers.at(-1)?.config ?? {};
  const units = head?.config['units'];
  switch (target.kind) {
    case 'class':
    case 'tags':
      // A version that does not name its classes is taken for one of the same when there are as many.
      return activation === 'softmax' && (labels === undefined ? units === target.labels.length : hasSameClasses(target.labels, parent));
    case 'number':
      return activation !== 'softmax' && units === target.width;
    case 'token':
      return activation === 'softmax' && units === target.vocabularySize;
    case 'none':
      return false;
  }
}

function newHeadOf(target: TargetSpec, taken: ReadonlySet<string>): LayerConfig {
  const [units, activation, name] =
    target.kind === 'class' || target.kind === 'tags'
      ? [target.labels.length, 'softmax', target.kind === 'class' ? 'probabilities' : 'label_probabilities']
      : target.kind === 'token'
        ? [target.vocabularySize, 'softmax', 'token_probabilities']
        : [target.kind === 'number' ? target.width : 1, 'linear', 'value'];
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name}_${number}`;
  return { class_name: 'Dense', config: { units, activation, name: free } };
}

/**
 * The layers of a version for a target: its own, with another last one where the version was trained for something else.
 * @throws SlipwayError INVALID_ARCHITECTURE
 */
export function tunedLayers(architecture: VersionArchitecture, parent: Parent, target: TargetSpec): TunedLayers {
  const { frozen } = architecture;
  const at = lastWithWeights(parent);
  const frozenNames = frozen === 'all-but-last' ? parent.layers.slice(0, at).map(nameOf) : frozen;
  if (keepsHead(parent, target)) return { layers: parent.layers, frozen: frozenNames, newHead: undefined };
  const old = parent.layers[at]!;
  const which = `Version ${parent.version} of "${parent.model}" was trained for something else`;
  if (old.class_name !== 'Dense')
    throw invalid('model', `${which}, and its last layer with weights is a ${old.class_name}; only a Dense layer can be replaced.`);
  const body = parent.layers.slice(0, at);
  const bodyNames = new Set(body.map(nameOf));
  const gone = frozenNames.find((name) => !bodyNames.has(name));
  if (gone !== undefined) throw invalid('frozen', `${which}, so its last layer is replaced: "${gone}" cannot be frozen.`);
  const head = newHeadOf(target, bodyNames);
  return { layers: [...body, head], frozen: frozenNames, newHead: nameOf(head) };
}

/**
 * The state that training begins with: the weights of the version, and fresh ones in a new last layer.
 * @param fresh what the trainer has begun with
 * @throws SlipwayError INVALID_MODEL when the version lacks a weight or has it in another shape.
 */
export function inheritedState(
  fresh: TrainerState,
  weights: ReadonlyMap<string, Values>,
  { newHead }: TunedLayers,
  { model, version }: Parent,
): TrainerState {
  const own = newHead === undefined ? undefined : weightState(`${newHead}/`);
  return new Map(
    [...fresh].map(([name, values]) => {
      if (!isWeightState(name) || (own !== undefined && name.startsWith(own))) return [name, values];
      const inherited = weights.get(name.slice(weightState('').length));
      if (inherited?.shape.join() !== values.shape.join()) {
        const found = inherited === undefined ? 'does not have' : `has in the shape [${inherited.shape.join(', ')}]`;
        throw new SlipwayError(
          'INVALID_MODEL',
          `The layers of version ${version} of "${model}" ask for the weight "${name.slice(weightState('').length)}" of the shape [${values.shape.join(', ')}], which its file ${found}.`,
        );
      }
      return [name, inherited];
    }),
  );
}
