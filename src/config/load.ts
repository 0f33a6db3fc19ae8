import { z } from 'zod';
import { messageOf } from '../errors/slipway-error.ts';
import { type Config, configSchema } from './schema.ts';

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

/** One setting, found by walking the schema, so that there is no second list of them. */
export interface Setting {
  /** E.g. `['limits', 'maxBodyBytes']`. */
  readonly path: readonly string[];
  /** E.g. `--limits-max-body-bytes`. */
  readonly flag: string;
  /** E.g. `SLIPWAY_LIMITS_MAX_BODY_BYTES`. */
  readonly variable: string;
  readonly description: string;
  readonly default: unknown;
  readonly isBoolean: boolean;
}

function words(path: readonly string[]): string[] {
  return path.flatMap((part) => part.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' '));
}

/** The innermost schema inside defaults. */
function unwrap(schema: z.ZodType): z.ZodType {
  const { def } = schema;
  return 'innerType' in def ? unwrap(def.innerType as z.ZodType) : schema;
}

function acceptsBoolean(schema: z.ZodType): boolean {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodUnion) return inner.options.some((option) => acceptsBoolean(option as z.ZodType));
  return inner instanceof z.ZodBoolean;
}

function settingsOf(schema: z.ZodObject, parent: readonly string[], defaults: Record<string, unknown>): Setting[] {
  return Object.entries(schema.shape).flatMap(([name, each]) => {
    const path = [...parent, name];
    const inner = unwrap(each as z.ZodType);
    if (inner instanceof z.ZodObject) return settingsOf(inner, path, defaults[name] as Record<string, unknown>);
    return [
      {
        path,
        flag: `--${words(path).join('-')}`,
        variable: `SLIPWAY_${words(path).join('_').toUpperCase()}`,
        description: (each as z.ZodType).description ?? '',
        default: defaults[name],
        isBoolean: acceptsBoolean(each as z.ZodType),
      },
    ];
  });
}

/** Every setting of the server. */
export const SETTINGS: readonly Setting[] = settingsOf(configSchema, [], configSchema.parse({}));

/** Damerau's distance without transpositions, for "did you mean". */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_cell, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function unknown(kind: string, name: string, known: readonly string[]): ConfigError {
  const [nearest] = known.toSorted((a, b) => distance(name, a) - distance(name, b));
  return new ConfigError(`there is no ${kind} ${name}; did you mean ${nearest}?`);
}

type Values = { [key: string]: unknown };

/** Where each value came from, for messages about bad ones. */
type Sources = Map<string, string>;

function put(target: Values, path: readonly string[], value: unknown): void {
  let at = target;
  for (const part of path.slice(0, -1)) at = (at[part] ??= {}) as Values;
  at[path.at(-1)!] = value;
}

function addFile(target: Values, sources: Sources, file: string, readFile: LoadOptions['readFile']): void {
  let content: unknown;
  try {
    content = JSON.parse(readFile(file));
  } catch (error) {
    throw new ConfigError(`${file}: ${messageOf(error)}`);
  }
  const visit = (value: unknown, path: readonly string[]): void => {
    const setting = SETTINGS.find((each) => each.path.join('.') === path.join('.'));
    if (setting !== undefined) {
      put(target, path, value);
      sources.set(path.join('.'), `${file}: ${path.join('.')}`);
      return;
    }
    const isGroup =
      path.length === 0 ||
      SETTINGS.some((each) => each.path.length > path.length && path.every((part, index) => each.path[index] === part));
    if (!isGroup)
      throw unknown(
        'setting',
        `${path.join('.')} (in ${file})`,
        SETTINGS.map((each) => each.path.join('.')),
      );
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ConfigError(`${file}: ${path.join('.') || 'the file'} must be an object`);
    for (const [name, each] of Object.entries(value)) visit(each, [...path, name]);
  };
  visit(content, []);
}

function addEnvironment(target: Values, sources: Sources, env: LoadOptions['env']): void {
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('SLIPWAY_') || variable === 'SLIPWAY_CONFIG' || value === undefined) continue;
    const setting = SETTINGS.find((each) => each.variable === variable);
    if (setting === undefined)
      throw unknown(
        'setting',
        variable,
        SETTINGS.map((each) => each.variable),
      );
    put(target, setting.path, value);
    sources.set(setting.path.join('.'), variable);
  }
}

function helpText(): string {
  const rows: [flag: string, text: string][] = SETTINGS.map((each) => [each.flag, `${each.description} Default: ${String(each.default)}.`]);
  rows.unshift(['--config', 'JSON file of settings.'], ['--help', 'Print this.'], ['--version', 'Print the version.']);
  const width = Math.max(...rows.map(([flag]) => flag.length)) + 2;
  return [
    'Usage: slipway [--setting value …]',
    '',
    'Settings come from a file (--config or SLIPWAY_CONFIG), then the environment, then flags; the later one holds.',
    'A flag --limits-max-body-bytes is SLIPWAY_LIMITS_MAX_BODY_BYTES in the environment.',
    '',
    ...rows.map(([flag, text]) => `  ${flag.padEnd(width)}${text}`),
  ].join('\n');
}

interface Flags {
  readonly values: ReadonlyMap<Setting, string>;
  readonly config: string | undefined;
  readonly print: 'help' | 'version' | undefined;
}

function readFlags(argv: readonly string[]): Flags {
  const values = new Map<Setting, string>();
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
    const setting = SETTINGS.find((each) => each.flag === flag);
    const negated = SETTINGS.find((each) => each.isBoolean && flag === each.flag.replace('--', '--no-'));
    if (flag === '--help' || flag === '-h') print = 'help';
    else if (flag === '--version') print = 'version';
    else if (flag === '--config') config = take();
    else if (negated !== undefined) values.set(negated, 'false');
    else if (setting === undefined)
      throw unknown(
        'flag',
        flag,
        SETTINGS.map((each) => each.flag),
      );
    else if (setting.isBoolean && inline === undefined && (argv[index + 1] ?? '--').startsWith('--')) values.set(setting, 'true');
    else values.set(setting, take());
  }
  return { values, config, print };
}

/**
 * Reads the settings: defaults, then the file, then the environment, then flags.
 * @throws ConfigError naming the flag, variable or file and what is wrong with it.
 */
export function loadConfig({ argv, env, readFile, version }: LoadOptions): LoadedConfig {
  const flags = readFlags(argv);
  if (flags.print !== undefined) return { kind: 'print', text: flags.print === 'help' ? helpText() : version };
  const values: Values = {};
  const sources: Sources = new Map();
  const file = flags.config ?? env['SLIPWAY_CONFIG'];
  if (file !== undefined) addFile(values, sources, file, readFile);
  addEnvironment(values, sources, env);
  for (const [setting, value] of flags.values) {
    put(values, setting.path, value);
    sources.set(setting.path.join('.'), setting.flag);
  }
  const result = configSchema.safeParse(values);
  if (result.success) return { kind: 'run', config: result.data };
  const [issue] = result.error.issues;
  const path = issue!.path.join('.');
  throw new ConfigError(`${sources.get(path) ?? path}: ${issue!.message}`);
}
