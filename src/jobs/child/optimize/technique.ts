import type { ModelFormat } from '../../../packages/formats.ts';
import type { VersionManifest } from '../../../packages/manifest.ts';
import type { Technique } from '../../optimization/techniques.ts';
import { SlipwayError } from '../../../errors/slipway-error.ts';

/** What a technique is given. */
export interface TechniqueSource {
  readonly folder: string;
  readonly format: ModelFormat;
  readonly manifest: VersionManifest;
}

export interface TechniqueContext {
  /** An empty folder for the files of the new model, without a manifest. */
  readonly target: string;
  readonly threads: number;
  readonly signal: AbortSignal;
}

/**
 * Makes a variant of a model.
 * @returns what was done, in words; a sentence without its point
 * @throws SlipwayError TECHNIQUE_INAPPLICABLE and what else keeps the model from being read or made
 */
export type ApplyTechnique<T extends Technique = Technique> = (
  technique: T,
  source: TechniqueSource,
  context: TechniqueContext,
) => Promise<string>;

export function inapplicable(message: string): SlipwayError {
  return new SlipwayError('TECHNIQUE_INAPPLICABLE', message);
}
