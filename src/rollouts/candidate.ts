import { SlipwayError } from '../errors/slipway-error.ts';
import type { Rollout } from '../packages/rollout.ts';
import type { VersionDescription } from '../registry/types.ts';
import type { Signature } from '../tensor/signature.ts';

/** What the inputs of one version lack to be those of another; undefined when they fit. */
function mismatch(baseline: Signature, candidate: Signature): string | undefined {
  const inputs = new Map(candidate.inputs.map(({ name, dtype }) => [name, dtype]));
  for (const { name, dtype } of baseline.inputs) {
    const other = inputs.get(name);
    if (other === undefined) return `it has no input "${name}"`;
    if (other !== dtype) return `its input "${name}" is ${other}, not ${dtype}`;
    inputs.delete(name);
  }
  const [more] = inputs.keys();
  return more === undefined ? undefined : `it also needs the input "${more}"`;
}

/**
 * Why a candidate can't take the place of its baseline, as far as that is known once both were loaded. Inputs of other names
 * or dtypes are refused here because their requests would fail before they are counted; what a model refuses when it is run
 * is for the test.
 */
export function problemWith({ candidate, baseline }: Rollout, versions: readonly VersionDescription[]): SlipwayError | undefined {
  const one = versions.find(({ version }) => version === candidate);
  const other = versions.find(({ version }) => version === baseline);
  if (one?.state === 'failed')
    return new SlipwayError('MODEL_FAILED', `Version ${candidate}, the candidate, could not be loaded: ${one.reason}`);
  if (one?.signature === undefined || other?.signature === undefined) return undefined;
  const signatures = one.loaded?.signatures ?? {};
  const missing = Object.keys(other.loaded?.signatures ?? {}).find((name) => !Object.hasOwn(signatures, name));
  const found = missing === undefined ? mismatch(other.signature, one.signature) : `it has no signature "${missing}"`;
  if (found === undefined) return undefined;
  return new SlipwayError('INPUT_MISMATCH', `Version ${candidate} can't take the requests of version ${baseline}: ${found}.`);
}
