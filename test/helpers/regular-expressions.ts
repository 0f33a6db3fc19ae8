import { expect } from 'vitest';

/**
 * A regular expression stands for the texts that it matches, in `toMatchObject` and `toEqual`, too. Without this,
 * `toMatchObject({ message: /x/ })` holds for every text: a regular expression has no properties that could differ.
 */
expect.addEqualityTesters([
  (found, expected) => {
    if (!(expected instanceof RegExp) || found instanceof RegExp) return undefined;
    return typeof found === 'string' && expected.test(found);
  },
]);
