import { SlipwayError } from '../../errors/slipway-error.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number');
}

/** The config of a layer, as Keras writes it: names in snake case, and null for what is left out. */
export interface Config {
  readonly fields: Fields;
  number(key: string, fallback?: number): number;
  boolean(key: string, fallback: boolean): boolean;
  text(key: string, fallback?: string): string;
  /** A number for each of `count` axes; one number counts for all. */
  numbers(key: string, count: number, fallback?: number | readonly number[]): readonly number[];
  /** A list of numbers as it stands; undefined when it is left out. */
  list(key: string): readonly number[] | undefined;
  /** The class name of an object such as an activation, which may be given by its name alone. */
  className(key: string, fallback: string): string;
  has(key: string): boolean;
}

/** @param layer name of the layer, for messages. */
export function createConfig(layer: string, fields: Fields): Config {
  function refuse(key: string, expected: string): never {
    const found = fields[key] === undefined || fields[key] === null ? 'it is missing' : `it is ${JSON.stringify(fields[key])}`;
    throw new SlipwayError('INVALID_MODEL', `The layer "${layer}": "${key}" must be ${expected}; ${found}.`);
  }

  const has = (key: string): boolean => fields[key] !== undefined && fields[key] !== null;

  function read<Value>(key: string, fallback: Value | undefined, is: (value: unknown) => value is Value, expected: string): Value {
    const value = has(key) ? fields[key] : fallback;
    return is(value) ? value : refuse(key, expected);
  }

  return {
    fields,
    has,
    number: (key, fallback) => read(key, fallback, (value) => typeof value === 'number', 'a number'),
    boolean: (key, fallback) => read(key, fallback, (value) => typeof value === 'boolean', 'true or false'),
    text: (key, fallback) => read(key, fallback, (value) => typeof value === 'string', 'a text'),
    numbers(key, count, fallback) {
      const value = has(key) ? fields[key] : fallback;
      if (typeof value === 'number') return Array.from({ length: count }, () => value);
      if (isNumbers(value) && value.length === count) return value;
      return refuse(key, `a number or ${count} numbers`);
    },
    list(key) {
      if (!has(key)) return undefined;
      const value = fields[key];
      if (typeof value === 'number') return [value];
      return isNumbers(value) ? value : refuse(key, 'a list of numbers');
    },
    className(key, fallback) {
      const value = has(key) ? fields[key] : fallback;
      if (typeof value === 'string') return value;
      const name = isFields(value) ? value['class_name'] : undefined;
      return typeof name === 'string' ? name : refuse(key, 'the name of a class');
    },
  };
}
