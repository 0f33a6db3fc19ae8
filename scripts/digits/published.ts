import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VersionManifest } from '../../src/packages/manifest.ts';
import { decodeWeights, type StoredWeight } from '../../src/packages/tfjs/decode-weights.ts';
import { readModelFile } from '../../src/packages/tfjs/model-file.ts';
import { readWeights } from '../../src/packages/tfjs/read-weights.ts';

/** A version that a training job has published, as it lies on disk. */
export interface PublishedModel {
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly layers: readonly { readonly class_name: string; readonly config: Readonly<Record<string, unknown>> }[];
  readonly weights: ReadonlyMap<string, StoredWeight>;
  readonly manifest: VersionManifest;
}

export async function readPublished(folder: string): Promise<PublishedModel> {
  const { modelTopology, weightsManifest } = await readModelFile(folder);
  const read = async (name: string): Promise<[string, Uint8Array]> => [name, await readFile(join(folder, name))];
  return {
    files: Object.fromEntries(await Promise.all(['model.json', 'weights.bin'].map(read))),
    layers: (modelTopology as { config: { layers: PublishedModel['layers'] } }).config.layers,
    weights: decodeWeights(await readWeights(folder, weightsManifest)),
    manifest: JSON.parse(await readFile(join(folder, 'slipway.json'), 'utf8')) as VersionManifest,
  };
}
