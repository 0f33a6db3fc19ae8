import { type ImagePreprocessing, type Preprocessing, versionManifestSchema } from '../../src/packages/manifest.ts';

/** Preprocessing as a manifest declares it, its defaults filled in. */
export function preprocessing<Kind extends Preprocessing['kind']>(
  declared: { readonly kind: Kind } & Readonly<Record<string, unknown>>,
): Preprocessing & { kind: Kind } {
  return versionManifestSchema.parse({ preprocessing: declared }).preprocessing as Preprocessing & { kind: Kind };
}

/** Image preprocessing as a manifest declares it, its defaults filled in. */
export function imagePreprocessing(
  declared: Partial<ImagePreprocessing> & Pick<ImagePreprocessing, 'width' | 'height' | 'channels' | 'layout'>,
): ImagePreprocessing {
  return preprocessing({ ...declared, kind: 'image' });
}
