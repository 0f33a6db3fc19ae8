import type { z } from 'zod';
import type { ErrorDetail } from './slipway-error.ts';

/** Longest part of a value that a message repeats, in characters. */
const SHOWN_CHARACTERS = 40;

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
};

/** A value as a message shows it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

function bound(origin: string, limit: number | bigint, inclusive: boolean, side: 'least' | 'most'): string {
  const [strict, unit] = side === 'least' ? ['more', 'at least'] : ['less', 'at most'];
  const count = inclusive ? `${unit} ${limit}` : `${strict} than ${limit}`;
  if (origin === 'string') return side === 'least' && limit === 1 ? 'must not be empty' : `must have ${count} characters`;
  if (origin === 'array') return side === 'least' && limit === 1 ? 'must not be empty' : `must have ${count} elements`;
  return `must be ${count}`;
}

/** The fields of the object schema that met an unknown one. */
function fieldsOf(schema: unknown): readonly string[] {
  return Object.keys((schema as { readonly shape?: object } | undefined)?.shape ?? {});
}

/**
 * What is wrong with a value in words that follow the name of its field, for someone who has not read the schema. Undefined
 * leaves it to zod. A schema's own messages come before these.
 */
const inWords: z.core.$ZodErrorMap = (issue) => {
  const instead = `, not ${shown(issue.input)}`;
  switch (issue.code) {
    case 'invalid_type': {
      if (issue.input === undefined) return 'is missing';
      const type = TYPE_NAMES[issue.expected];
      return type === undefined ? undefined : `must be ${type}${instead}`;
    }
    case 'invalid_value': {
      if (issue.input === undefined) return 'is missing';
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}${instead}`;
    }
    case 'too_small':
    case 'too_big': {
      const [limit, side] = issue.code === 'too_small' ? ([issue.minimum, 'least'] as const) : ([issue.maximum, 'most'] as const);
      const words = bound(issue.origin, limit, issue.inclusive !== false, side);
      return issue.origin === 'number' || issue.origin === 'int' ? `${words}${instead}` : words;
    }
    case 'unrecognized_keys':
      return `is no field here; there are ${fieldsOf(issue.inst).join(', ')}`;
    default:
      return undefined;
  }
};

function pathText(root: string, path: readonly PropertyKey[]): string {
  let text = root;
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : `${text === '' ? '' : '.'}${String(part)}`;
  return text;
}

export type Checked<T> = { readonly data: T } | { readonly findings: readonly [ErrorDetail, ...ErrorDetail[]] };

/**
 * Checks a value by its schema.
 * @param root name of the value in the paths of the findings, e.g. `query`; empty when it is the whole.
 * @returns the value with its defaults, or what is wrong with it, field by field.
 */
export function checkSchema<T>(schema: z.ZodType<T>, value: unknown, root = ''): Checked<T> {
  const result = schema.safeParse(value, { error: inWords });
  if (result.success) return { data: result.data };
  const findings = result.error.issues.flatMap((issue): ErrorDetail[] => {
    // Each unknown field is a finding of its own.
    const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    return paths.map((path) => ({ path: pathText(root, path), message: issue.message }));
  });
  return { findings: findings as [ErrorDetail, ...ErrorDetail[]] };
}

/** A finding as a sentence without its full stop: `version must be a whole number, not "1"`. */
export function findingText({ path, message }: ErrorDetail): string {
  return path === '' ? message : `${path}: ${message}`;
}
