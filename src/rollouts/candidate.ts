import { SlipwayError } from '../errors/slipway-error.ts';
import type { Rollout } from '../packages/rollout.ts';
import type { VersionDescription } from '../registry/types.ts';
import type { Signature, TensorSpec } from '../tensor/signature.ts';

/** Whether a shape leaves out some of what another one takes; an open dimension is -1, an open rank null. */
function isNarrower(shape: TensorSpec['shape'], than: TensorSpec['shape']): boolean {
  if (shape === null) return false;
  return than === null || shape.length !== than.length || shape.some((size, axis) => size !== -1 && size !== than[axis]);
}

const textOf = (shape: TensorSpec['shape']): string => (shape === null ? 'any' : `[${shape.join(', ')}]`);

/** What the inputs of one version lack to take those of another; undefined when they do. */
function mismatch(baseline: Signature, candidate: Signature): string | undefined {
  const inputs = new Map(candidate.inputs.map((spec) => [spec.name, spec]));
  for (const { name, dtype, shape } of baseline.inputs) {
    const other = inputs.get(name);
    if (other === undefined) return `it has no input "${name}"`;
    if (other.dtype !== dtype) return `its input "${name}" is ${other.dtype}, not ${dtype}`;
    if (isNarrower(other.shape, shape)) return `its input "${name}" has the shape ${textOf(other.shape)}, not ${textOf(shape)}`;
    inputs.delete(name);
  }
  const [more] = inputs.keys();
  return more === undefined ? undefined : `it also needs the input "${more}"`;
}

/** What a candidate cannot read that its baseline reads: images, rows of tables, texts. */
function readingProblem({ manifest: baseline }: VersionDescription, { manifest: candidate }: VersionDescription): string | undefined {
  const [kind, own] = [baseline?.preprocessing?.kind, candidate?.preprocessing?.kind];
  if (kind === undefined || kind === own) return undefined;
  return `its slipway.json does not say how to read a ${kind}`;
}

/**
 * Why a candidate can't take the place of its baseline, as far as that is known once both were loaded. What it could not take
 * would look like a fault of the requests, which is not counted; what fails when it is run is for the test.
 */
export function problemWith({ candidate, baseline }: Rollout, versions: readonly VersionDescription[]): SlipwayError | undefined {
  const one = versions.find(({ version }) => version === candidate);
  const other = versions.find(({ version }) => version === baseline);
  if (one?.state === 'failed')
    return new SlipwayError('MODEL_FAILED', `Version ${candidate}, the candidate, could not be loaded: ${one.reason}`);
  if (one?.signature === undefined || other?.signature === undefined) return undefined;
  const signatures = one.loaded?.signatures ?? {};
  const missing = Object.keys(other.loaded?.signatures ?? {}).find((name) => !Object.hasOwn(signatures, name));
  const found =
    missing === undefined ? (readingProblem(other, one) ?? mismatch(other.signature, one.signature)) : `it has no signature "${missing}"`;
  if (found === undefined) return undefined;
  return new SlipwayError('INPUT_MISMATCH', `Version ${candidate} can't take the requests of version ${baseline}: ${found}.`);
}
