import type { Tensor } from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { initializers, layers } from '@tensorflow/tfjs-layers';

type Initializer = ReturnType<typeof initializers.zeros>;

/** The config of a layer as tfjs hands it over: names in camel case. */
export type LayerArguments = ConstructorParameters<typeof layers.Layer>[0] & Readonly<Record<string, unknown>>;

/** A weight of a layer, which a step of training may change. */
export interface Weight {
  read(): Tensor;
}

interface SerializedInitializer {
  readonly className: string;
  readonly config: serialization.ConfigDict;
}

/**
 * @param value an initializer as the file says it, or nothing.
 * @param draw the initializer's number among those of its layer: by one seed, weights of the same shape would all begin with the
 *   same numbers, and the queries of an attention would be its keys.
 */
function initializerOf(value: unknown, draw: number, fallback: () => Initializer): Initializer {
  if (typeof value !== 'object' || value === null) return fallback();
  const { className, config } = value as SerializedInitializer;
  const { seed } = config as { seed?: unknown };
  const [, fromConfig] = serialization.SerializationMap.getMap().classNameMap[className] ?? [];
  if (fromConfig === undefined) throw new Error(`Unknown initializer: ${className}`);
  // It changes the config that it is given.
  const Class = serialization.SerializationMap.getMap().classNameMap[className]![0];
  return fromConfig(Class, { ...config, ...(typeof seed === 'number' && { seed: seed + draw }) }) as unknown as Initializer;
}

export function numberOf(args: LayerArguments, key: string, fallback?: number): number {
  const value = args[key] ?? fallback;
  if (typeof value !== 'number') throw new Error(`${key} must be a number`);
  return value;
}

export function booleanOf(args: LayerArguments, key: string, fallback: boolean): boolean {
  const value = args[key] ?? fallback;
  if (typeof value !== 'boolean') throw new Error(`${key} must be true or false`);
  return value;
}

/** tfjs has layers as classes to extend; this one keeps the arguments for the file and makes weights by names with slashes. */
export abstract class WeightedLayer extends layers.Layer {
  readonly #args: LayerArguments;
  readonly #keys: readonly string[];
  #draws = 0;

  /** @param keys arguments that are written to the file. */
  constructor(args: LayerArguments, keys: readonly string[]) {
    super(args);
    this.#args = args;
    this.#keys = keys;
    this.supportsMasking = true;
  }

  protected kernel(name: string, shape: readonly number[], initializer = 'kernelInitializer'): Weight {
    const make = initializerOf(this.#args[initializer], this.#draws, () => initializers.glorotUniform({}));
    this.#draws += 1;
    return this.addWeight(name, [...shape], 'float32', make);
  }

  protected filled(name: string, size: number | readonly number[], value: 0 | 1): Weight {
    const shape = typeof size === 'number' ? [size] : [...size];
    return this.addWeight(name, shape, 'float32', value === 0 ? initializers.zeros() : initializers.ones());
  }

  override getConfig(): serialization.ConfigDict {
    const own = Object.fromEntries(this.#keys.map((key) => [key, this.#args[key] ?? null]));
    return { ...super.getConfig(), ...own } as serialization.ConfigDict;
  }
}
