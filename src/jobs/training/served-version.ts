import type { Preparation, TargetSpec } from '../../datasets/dataset.ts';
import { EMBEDDINGS } from './architectures/layer-config.ts';
import type { LayerConfig } from '../../engines/training/trainer.ts';
import type { Classification } from '../../packages/manifest.ts';
import { createTokenizer } from '../../preprocessing/tokenizer.ts';

/** Most classes that an answer lists: of classes, and of tokens that may come next. */
const TOP_CLASSES = 3;
const TOP_TOKENS = 20;

/** What the token for the end of a text is called in answers. */
const END_OF_TEXT = '<end of text>';

/** What a layer for texts does when it is served: texts shorter than the window are filled up with 0, which is then masked. */
function masked({ class_name: kind, config }: LayerConfig): LayerConfig {
  return { class_name: kind, config: EMBEDDINGS.has(kind) ? { ...config, mask_zero: true } : config };
}

/**
 * The layers of the version, of those that were trained: it gives values in their own units, which were trained at mean 0
 * and deviation 1, and of a text what comes next alone, where training looked at each of its tokens.
 */
export function servedLayers(layers: readonly LayerConfig[], target: TargetSpec): readonly LayerConfig[] {
  if (target.kind === 'number') {
    const name = target.column.replaceAll(/[^A-Za-z0-9._-]/g, '_');
    return [...layers, { class_name: 'Rescaling', config: { name, scale: target.std, offset: target.mean } }];
  }
  if (target.kind !== 'token') return layers;
  return [...layers.map(masked), { class_name: 'SequencePooling', config: { name: 'probabilities', mode: 'last' } }];
}

/** The layers that a version which continues texts was trained with: `servedLayers` the other way round. */
export function trainedLayers(served: readonly LayerConfig[]): readonly LayerConfig[] {
  if (served.at(-1)?.class_name !== 'SequencePooling') return served;
  return served.slice(0, -1).map(({ class_name: kind, config }) => ({
    class_name: kind,
    config: EMBEDDINGS.has(kind) ? { ...config, mask_zero: false } : config,
  }));
}

/** How the version's answer is read; undefined for numbers. */
export async function classificationOf({ target, preprocessing, files }: Preparation): Promise<Classification | undefined> {
  if (target.kind === 'class' || target.kind === 'tags') {
    const { labels } = target;
    return {
      labels: [...labels],
      ...(target.kind === 'tags' && { of: 'token' }),
      scores: 'probabilities',
      top: Math.min(TOP_CLASSES, labels.length),
    };
  }
  if (target.kind !== 'token' || preprocessing.kind !== 'text') return undefined;
  const { pieceOf } = await createTokenizer(preprocessing.tokenizer, async (file) => files[file] ?? '');
  const labels = Array.from({ length: target.vocabularySize }, (_label, id) =>
    id === preprocessing.endOfText ? END_OF_TEXT : pieceOf(id),
  );
  return { labels, scores: 'probabilities', top: Math.min(TOP_TOKENS, labels.length) };
}

/** What the version does, in a sentence. */
export function descriptionOf({ dataset, target }: Preparation): string {
  if (target.kind === 'token') return `Trained on ${dataset.name} to continue texts.`;
  if (target.kind === 'tags') return `Trained on ${dataset.name} to predict ${target.column} of each token.`;
  return `Trained on ${dataset.name} to predict ${target.kind === 'none' ? 'nothing' : target.column}.`;
}
