import { SlipwayError } from '../errors/slipway-error.ts';
import type { Registry } from '../registry/types.ts';

/** The version that answers requests without one, else the latest. @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND */
export function answeringVersion(registry: Pick<Registry, 'describe'>, model: string): number {
  const { defaultVersion, versions } = registry.describe(model);
  const found = defaultVersion ?? versions.at(-1)?.version;
  if (found === undefined) throw new SlipwayError('VERSION_NOT_FOUND', `The model "${model}" has no version.`);
  return found;
}
