import { z } from 'zod';
import { checkSchema } from '../errors/check-schema.ts';
import { messageOf } from '../errors/slipway-error.ts';
import { helpText } from './help-text.ts';
import { nearestName } from './nearest-name.ts';
import { type Config, configSchema } from './schema.ts';
import { type Setting, SETTINGS } from './settings.ts';

/** A setting that can't be understood; the message is one line for the person who started the server. */
export class ConfigError extends Error {}

export interface LoadOptions {
  /** Command-line arguments after the program. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
  /** Printed by `--version`. */
  readonly version: string;
}

export type LoadedConfig = { readonly kind: 'run'; readonly config: Config } | { readonly kind: 'print'; readonly text: string };

/** A value that one of the sources gives. */
interface Given {
  readonly setting: Setting;
  readonly value: unknown;
  /** For messages, e.g. `--port` or `slipway.json: port`. */
  readonly source: string;
}

/** The setting with this name in one of its spellings. */
function settingBy(spelling: 'name' | 'flag' | 'variable', text: string, unknown: (nearest: string) => string): Setting {
  const found = SETTINGS.find((each) => each[spelling] === text);
  if (found !== undefined) return found;
  const [first, ...rest] = SETTINGS.map((each) => each[spelling]);
  throw new ConfigError(unknown(nearestName(text, [first!, ...rest])));
}

/** Text of a flag or variable as the value it means; text that means none is left for the schema to refuse. */
function fromText({ kind }: Setting, text: string): unknown {
  if (kind === 'number' && /^[+-]?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (kind === 'boolean') return z.stringbool().safeParse(text).data ?? text;
  return text;
}

function readSettingsFile(file: string, readFile: LoadOptions['readFile']): Given[] {
  let content: unknown;
  try {
    content = JSON.parse(readFile(file));
  } catch (error) {
    throw new ConfigError(`${file}: ${messageOf(error)}`);
  }
  const visit = (value: unknown, path: readonly string[]): Given[] => {
    const name = path.join('.');
    const isGroup = path.length === 0 || SETTINGS.some((each) => each.name.startsWith(`${name}.`));
    if (!isGroup) {
      const setting = settingBy('name', name, (nearest) => `${file}: there is no setting ${name}; did you mean ${nearest}?`);
      return [{ setting, value, source: `${file}: ${name}` }];
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ConfigError(`${file}: ${name || 'the file'} must be an object`);
    return Object.entries(value).flatMap(([key, each]) => visit(each, [...path, key]));
  };
  return visit(content, []);
}

/**
 * Kubernetes describes the services of a namespace in the environment of its containers. For a service that is named
 * `slipway` these variables look like settings: `SLIPWAY_PORT=tcp://10.0.0.1:80`, `SLIPWAY_SERVICE_HOST`.
 */
function isServiceLink(variable: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(variable)) return true;
  return variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value);
}

function readEnvironment(env: LoadOptions['env']): Given[] {
  return Object.entries(env).flatMap(([variable, text]) => {
    if (!variable.startsWith('SLIPWAY_') || variable === 'SLIPWAY_CONFIG' || text === undefined) return [];
    if (isServiceLink(variable, text)) return [];
    const setting = settingBy('variable', variable, (nearest) => `there is no variable ${variable}; did you mean ${nearest}?`);
    return [{ setting, value: fromText(setting, text), source: variable }];
  });
}

interface Flags {
  readonly given: readonly Given[];
  readonly config: string | undefined;
  readonly print: 'help' | 'version' | undefined;
}

function readFlags(argv: readonly string[]): Flags {
  const given: Given[] = [];
  let config: string | undefined;
  let print: Flags['print'];
  for (let index = 0; index < argv.length; index += 1) {
    const [flag = '', inline] = argv[index]!.split(/=(.*)/s, 2);
    const take = (): string => {
      if (inline !== undefined) return inline;
      index += 1;
      const next = argv[index];
      if (next === undefined || next.startsWith('--')) throw new ConfigError(`${flag} needs a value`);
      return next;
    };
    const negated = SETTINGS.find((each) => each.kind === 'boolean' && flag === each.flag.replace('--', '--no-'));
    if (flag === '--help' || flag === '-h') print = 'help';
    else if (flag === '--version') print = 'version';
    else if (flag === '--config') config = take();
    else if (negated !== undefined) {
      if (inline !== undefined) throw new ConfigError(`${flag} takes no value`);
      given.push({ setting: negated, value: false, source: flag });
    } else if (!flag.startsWith('-')) throw new ConfigError(`unexpected argument ${flag}; a setting is given as --name value`);
    else {
      const setting = settingBy('flag', flag, (nearest) => `there is no flag ${flag}; did you mean ${nearest}?`);
      const isBare = setting.kind === 'boolean' && inline === undefined && (argv[index + 1] ?? '--').startsWith('--');
      given.push({ setting, value: isBare ? true : fromText(setting, take()), source: flag });
    }
  }
  return { given, config, print };
}

/**
 * Reads the settings: defaults, then the file, then the environment, then flags.
 * @throws ConfigError naming the flag, variable or file and what is wrong with it.
 */
export function loadConfig({ argv, env, readFile, version }: LoadOptions): LoadedConfig {
  const flags = readFlags(argv);
  if (flags.print !== undefined) return { kind: 'print', text: flags.print === 'help' ? helpText() : version };
  const file = flags.config ?? env['SLIPWAY_CONFIG'];
  if (file === '') throw new ConfigError(`${flags.config === undefined ? 'SLIPWAY_CONFIG' : '--config'}: must not be empty`);
  const sources = [...(file === undefined ? [] : readSettingsFile(file, readFile)), ...readEnvironment(env), ...flags.given];
  const given = new Map(sources.map((each) => [each.setting.name, each]));

  const values: Record<string, unknown> = {};
  for (const { setting, value } of given.values()) {
    let at = values;
    for (const part of setting.path.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    at[setting.path.at(-1)!] = value;
  }
  const checked = checkSchema(configSchema, values);
  if ('data' in checked) return { kind: 'run', config: checked.data };
  const [{ path, message: problem }] = checked.findings;
  throw new ConfigError(`${given.get(path)!.source}: ${problem}`);
}
