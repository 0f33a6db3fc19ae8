import { expect, it } from 'vitest';
import { nearestName } from '../../../src/config/nearest-name.ts';

it.each([
  ['prot', 'port'],
  ['por', 'port'],
  ['hots', 'host'],
  ['', 'port'],
  ['modles', 'models'],
])('%s is most like %s', (name, expected) => {
  expect(nearestName(name, ['port', 'host', 'models'])).toBe(expected);
});
