import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openapiText } from '../../../scripts/openapi/openapi-text.ts';

it('openapi.yaml is what the routes say; run `npm run generate` when it is not', () => {
  expect(readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8')).toBe(openapiText());
});
