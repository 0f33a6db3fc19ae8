import { type ImagePreprocessing, versionManifestSchema } from '../../src/packages/manifest.ts';

/** Image preprocessing as a manifest declares it, its defaults filled in. */
export function imagePreprocessing(
  declared: Partial<ImagePreprocessing> & Pick<ImagePreprocessing, 'width' | 'height' | 'channels' | 'layout'>,
): ImagePreprocessing {
  return versionManifestSchema.parse({ preprocessing: { kind: 'image', ...declared } }).preprocessing!;
}
