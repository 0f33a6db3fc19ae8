import { SlipwayError } from '../errors/slipway-error.ts';
import type { Model } from './model.ts';
import type { ModelReference } from './types.ts';
import type { Version } from './version.ts';

const NAMES_SHOWN = 5;
const VERSIONS_SHOWN = 20;

/**
 * The error for a model that is not there; names the known ones that look most like it.
 * @param misplaced as `Model.misplaced`.
 */
export function modelNotFound(name: string, known: Iterable<string>, misplaced = ''): SlipwayError {
  const ranked = [...known].map((each) => ({ each, difference: difference(name, each) }));
  ranked.sort((a, b) => a.difference - b.difference || (a.each < b.each ? -1 : 1));
  const names = ranked.slice(0, NAMES_SHOWN).map(({ each }) => `"${each}"`);
  const more = ranked.length - names.length;
  const hint =
    names.length === 0 ? 'The model repository is empty.' : `There are ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
  const why = misplaced === '' ? hint : `Its folder ${misplaced}.`;
  return new SlipwayError('MODEL_NOT_FOUND', `There is no model "${name}". ${why}`, {
    details: [{ path: 'model', message: 'is not in the model repository' }],
  });
}

/** The error for a version that is not there, or is left out by the version policy. */
export function versionNotFound(model: Model, version: number, onDisk: boolean): SlipwayError {
  const why = onDisk
    ? `Version ${version} of model "${model.name}" is not loaded: its version policy leaves it out.`
    : `Model "${model.name}" has no version ${version}.`;
  return new SlipwayError('VERSION_NOT_FOUND', `${why} ${versionsOf(model)}`, {
    details: [{ path: 'version', message: onDisk ? 'is left out by the version policy' : 'is not a version of the model' }],
  });
}

export function labelNotFound(model: Model, label: string): SlipwayError {
  const labels = [...model.settings.labels.keys()].map((each) => `"${each}"`).slice(0, VERSIONS_SHOWN);
  const hint = labels.length === 0 ? 'It has no labels.' : `It has ${labels.join(', ')}.`;
  return new SlipwayError('LABEL_NOT_FOUND', `Model "${model.name}" has no label "${label}". ${hint}`, {
    details: [{ path: 'label', message: 'is not a label of the model' }],
  });
}

/** Why nothing answers a reference to a model that is there. */
export function unresolved(model: Model, reference: ModelReference): SlipwayError {
  let number = reference.version;
  if (number === undefined && reference.label !== undefined) {
    number = model.settings.labels.get(reference.label);
    if (number === undefined) return labelNotFound(model, reference.label);
  }
  if (number !== undefined) {
    const version = model.versions.get(number);
    return version === undefined ? versionNotFound(model, number, false) : notAnswering(model, version);
  }

  const version = mostHopeful(model);
  if (version !== undefined) return notAnswering(model, version);
  if (model.unloadedByRequest) return modelUnloaded(model);
  return new SlipwayError(
    'VERSION_NOT_FOUND',
    `Model "${model.name}" has no version that its version policy selects. ${versionsOf(model)}`,
  );
}

function notAnswering(model: Model, { version, state, reason, retryAfterMs, onDemand }: Version): SlipwayError {
  const subject = `Version ${version} of model "${model.name}"`;
  switch (state) {
    case 'failed':
      return new SlipwayError('MODEL_FAILED', `${subject} could not be loaded: ${sentence(reason)}`);
    case 'unloaded':
      if (onDemand) break;
      return model.unloadedByRequest ? modelUnloaded(model) : versionNotFound(model, version, true);
    case 'draining':
      if (model.unloadedByRequest) return modelUnloaded(model);
      break;
    case 'loading':
    case 'ready': // only here when it became ready just now
      break;
  }
  if (onDemand && state === 'unloaded') return new SlipwayError('MODEL_NOT_READY', `${subject} is ${sentence(reason)}`, { retryAfterMs });
  const doing = state === 'draining' ? 'is being unloaded' : 'is loading';
  return new SlipwayError('MODEL_NOT_READY', `${subject} ${sentence(reason === '' ? doing : `${doing}: ${reason}`)}`, { retryAfterMs });
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

function modelUnloaded(model: Model): SlipwayError {
  return new SlipwayError('MODEL_UNLOADED', `Model "${model.name}" was unloaded by request; load it first.`);
}

/** The wanted version that speaks for a model of which none is ready: one that may still come before one that failed. */
function mostHopeful(model: Model): Version | undefined {
  let best: Version | undefined;
  for (const number of [...model.selected].toSorted((a, b) => b - a)) {
    const version = model.versions.get(number);
    if (version?.state === 'loading') return version;
    best ??= version;
  }
  return best;
}

function versionsOf(model: Model): string {
  const versions = [...model.versions.values()].toSorted((a, b) => a.version - b.version);
  if (versions.length === 0) return 'It has none.';
  const shown = versions.slice(-VERSIONS_SHOWN).map(({ version, state }) => `${version} (${state})`);
  return `There ${shown.length === 1 ? 'is' : 'are'} ${versions.length > shown.length ? '…, ' : ''}${shown.join(', ')}.`;
}

/**
 * How unlike two names are, at the cost of one pass over them: the length of the longer one less what they share at
 * their beginning and end. A single slip of the typing finger counts 1, wherever it is.
 */
function difference(a: string, b: string): number {
  const [left, right] = [a.toLowerCase(), b.toLowerCase()];
  const shorter = Math.min(left.length, right.length);
  let prefix = 0;
  while (prefix < shorter && left[prefix] === right[prefix]) prefix += 1;
  let suffix = 0;
  while (suffix < shorter - prefix && left.at(-1 - suffix) === right.at(-1 - suffix)) suffix += 1;
  return Math.max(left.length, right.length) - prefix - suffix;
}
