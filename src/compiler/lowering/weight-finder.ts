import type { StoredWeight } from '../../packages/tfjs/decode-weights.ts';

/** Finds the weights of layers by their names. */
export interface WeightFinder {
  /** @param path names of the layer and of what it is in, outermost first. @param name of the weight in the layer. */
  find(path: readonly string[], name: string): StoredWeight | undefined;
}

/** TensorFlow 2.2 began to put the name of a cell before that of its weights: `lstm/lstm_cell/kernel`. */
function withoutCell(name: string): string {
  const parts = name.split('/');
  return [...parts.slice(0, -2), ...parts.slice(-1)].join('/');
}

/** By the rules of tfjs: the names of nested models are left out, and names that lack a part are taken for it as well. */
export function createWeightFinder(weights: ReadonlyMap<string, StoredWeight>): WeightFinder {
  const shortened = new Map<string, StoredWeight>();
  for (const [name, weight] of weights) shortened.set(withoutCell(name), weight);
  return {
    find(path, name) {
      // The longest first: two nested models may have layers of one name.
      const names = path.map((_part, start) => [...path.slice(start), name].join('/'));
      for (const known of [weights, shortened]) {
        for (const full of names) {
          const weight = known.get(full);
          if (weight !== undefined) return weight;
        }
      }
      return undefined;
    },
  };
}
