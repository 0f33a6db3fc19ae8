import { createHash } from 'node:crypto';
import type { LayerConfig, Values } from '../../../engines/training/trainer.ts';
import { messageOf, SlipwayError } from '../../../errors/slipway-error.ts';
import { detectFormat, isLayersFormat } from '../../../packages/formats.ts';
import { openLayersModel } from '../../../packages/layers-model.ts';
import type { Preprocessing } from '../../../packages/manifest.ts';
import { preprocessingFiles } from '../../../packages/preprocessing-files.ts';
import { readVersionManifest } from '../../../packages/read-version.ts';
import { decodeWeights } from '../../../packages/tfjs/decode-weights.ts';
import { LAYER_KINDS } from '../architectures/schema.ts';
import { trainedLayers } from '../served-version.ts';

/** A version that is to be trained further: its layers and what it says of its input and output. */
export interface Parent {
  /** For messages and the lineage. */
  readonly model: string;
  readonly version: number;
  /** Those between the input and what a regression has behind it. */
  readonly layers: readonly LayerConfig[];
  /** Names of those of them that have weights. */
  readonly weighted: ReadonlySet<string>;
  /** Of one example; undefined when the file does not say it. */
  readonly inputShape: readonly (number | null)[] | undefined;
  /** How it reads its input; undefined when it has no slipway.json that says so. */
  readonly preprocessing: Preprocessing | undefined;
  /** Of classifiers. */
  readonly labels: readonly string[] | undefined;
  /** What its last layer does to bring numbers into their own units: × scale + offset. */
  readonly units: { readonly scale: number; readonly offset: number };
  /** Files beside the model that the preprocessing needs, by their names. */
  readonly files: Readonly<Record<string, string>>;
}

/** Says why a version cannot be trained further. */
function refuse({ model, version }: Pick<Parent, 'model' | 'version'>, why: string): SlipwayError {
  const message = `Version ${version} of "${model}" cannot be trained further: ${why}.`;
  return new SlipwayError('INVALID_ARCHITECTURE', message, { details: [{ path: 'architecture', message }] });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The layers of a Sequential model. */
function sequentialLayers(topology: unknown, which: Pick<Parent, 'model' | 'version'>): LayerConfig[] {
  // Keras writes the model under `model_config`, tfjs as it is.
  const root = isObject(topology) && isObject(topology['model_config']) ? topology['model_config'] : topology;
  const kind = isObject(root) ? root['class_name'] : undefined;
  if (kind !== 'Sequential')
    throw refuse(
      which,
      `its layers are those of a ${typeof kind === 'string' ? `${kind} model` : 'graph'}, and only a Sequential model is`,
    );
  const { config } = root as { config: unknown };
  const list = Array.isArray(config) ? (config as unknown[]) : isObject(config) ? config['layers'] : undefined;
  if (!Array.isArray(list)) throw refuse(which, 'its model.json lists no layers');
  return (list as LayerConfig[]).map(({ class_name: name, config: own }) => ({ class_name: name, config: own }));
}

/** Numbers that a regression's Rescaling layer takes into the units of its column. */
function unitsOf(layers: readonly LayerConfig[]): Parent['units'] | undefined {
  const last = layers.at(-1);
  if (last?.class_name !== 'Rescaling') return undefined;
  const { scale, offset } = last.config;
  return typeof scale === 'number' && typeof offset === 'number' ? { scale, offset } : undefined;
}

/**
 * Reads a version that is to be trained further.
 * @throws SlipwayError INVALID_ARCHITECTURE with the reason when it cannot be; INVALID_MODEL, INVALID_MANIFEST
 */
export async function readParent(folder: string, which: Pick<Parent, 'model' | 'version'>): Promise<Parent> {
  const format = await detectFormat(folder);
  if (!isLayersFormat(format))
    throw refuse(which, `it is in the format ${format}, and only layers models are, such as training jobs publish`);
  const { topology, weightNames } = await openLayersModel(folder, format);
  const { preprocessing, classification } = await readVersionManifest(folder);
  const all = sequentialLayers(topology, which);
  const shape = all[0]?.config['batch_input_shape'];
  const units = unitsOf(all);
  const layers = trainedLayers(
    all.filter((layer, index) => layer.class_name !== 'InputLayer' && !(units !== undefined && index === all.length - 1)),
  );
  const kinds: ReadonlySet<string> = new Set(LAYER_KINDS);
  for (const { class_name: kind, config } of layers) {
    if (!kinds.has(kind)) throw refuse(which, `its layer "${String(config['name'])}" is a ${kind}, which is not trained`);
  }
  const weighted = layers
    .map(({ config }) => String(config['name']))
    .filter((name) => weightNames.some((each) => each.startsWith(`${name}/`)));
  if (weighted.length === 0) throw refuse(which, 'no layer of it has weights');
  const files = await preprocessingFiles(folder, preprocessing).catch((error: unknown) => {
    throw refuse(which, `its tokenizer cannot be read (${messageOf(error)})`);
  });
  return {
    ...which,
    layers,
    weighted: new Set(weighted),
    inputShape: Array.isArray(shape) ? (shape.slice(1) as (number | null)[]) : undefined,
    preprocessing,
    labels: classification?.scores === 'logits' ? undefined : classification?.labels,
    units: units ?? { scale: 1, offset: 0 },
    files,
  };
}

/** The weights of a version as Keras lays them out, by name, and the SHA-256 of all of them. */
export async function readParentWeights(
  folder: string,
): Promise<{ readonly weights: ReadonlyMap<string, Values>; readonly digest: string }> {
  const weights = await (await openLayersModel(folder)).weights();
  const hash = createHash('sha256');
  for (const shard of weights.data) hash.update(new Uint8Array(shard));
  const values = [...decodeWeights(weights)].map(([name, { shape, tensor }]): [string, Values] => [
    name,
    { shape, data: Float32Array.from(tensor().data as Float32Array) },
  ]);
  return { weights: new Map(values), digest: hash.digest('hex') };
}
