import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One setting, found by walking the schema, so that there is no second list of them. */
export interface Setting {
  /** E.g. `['limits', 'maxBodyBytes']`. */
  readonly path: readonly string[];
  /** The path with dots, e.g. `limits.maxBodyBytes`. */
  readonly name: string;
  /** E.g. `--limits-max-body-bytes`. */
  readonly flag: string;
  /** E.g. `SLIPWAY_LIMITS_MAX_BODY_BYTES`. */
  readonly variable: string;
  readonly description: string;
  /** Undefined for a setting that may be left out; its description says what holds then. */
  readonly default: string | number | boolean | undefined;
  /** How its text in a flag or a variable is read. */
  readonly kind: 'text' | 'number' | 'boolean';
}

function words(path: readonly string[]): string[] {
  return path.flatMap((part) => part.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' '));
}

/** The innermost schema inside defaults. */
function unwrap(schema: z.ZodType): z.ZodType {
  const { def } = schema;
  return 'innerType' in def ? unwrap(def.innerType as z.ZodType) : schema;
}

function kindOf(schema: z.ZodType, name: string): Setting['kind'] {
  if (schema instanceof z.ZodNumber) return 'number';
  // A number or a word in its place.
  if (schema instanceof z.ZodUnion && schema.def.options.some((option) => option instanceof z.ZodNumber)) return 'number';
  if (schema instanceof z.ZodBoolean) return 'boolean';
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum) return 'text';
  throw new TypeError(`the setting ${name} is a ${schema.def.type}; flags and variables carry text, numbers and booleans only`);
}

function settingsOf(schema: z.ZodObject, parent: readonly string[], defaults: Record<string, unknown>): Setting[] {
  return Object.entries(schema.shape).flatMap(([key, field]) => {
    const path = [...parent, key];
    const name = path.join('.');
    const { description = '' } = field as z.ZodType;
    const inner = unwrap(field as z.ZodType);
    if (inner instanceof z.ZodObject) return settingsOf(inner, path, defaults[key] as Record<string, unknown>);
    return [
      {
        path,
        name,
        flag: `--${words(path).join('-')}`,
        variable: `SLIPWAY_${words(path).join('_').toUpperCase()}`,
        description,
        default: defaults[key] as Setting['default'],
        kind: kindOf(inner, name),
      },
    ];
  });
}

/** Every setting of the server, in the order of the schema. */
export const SETTINGS: readonly Setting[] = settingsOf(configSchema, [], configSchema.parse({}));
