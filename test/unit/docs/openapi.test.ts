import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describedProtocols, openapiText } from '../../../scripts/openapi/openapi-text.ts';

describe('openapi.yaml', () => {
  it('is what the routes say; run `npm run generate` when it is not', () => {
    expect(readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8')).toBe(openapiText());
  });

  it('has an example of each body and answer, and each is one', () => {
    const wrong = describedProtocols()
      .flatMap(({ routes }) => routes)
      .filter(({ undocumented }) => !undocumented)
      .flatMap(({ operationId, body, responses }) => [
        ...Object.entries(body?.content ?? {}).map(([type, described]) => ({ what: `${operationId}, body ${type}`, ...described })),
        ...Object.entries(responses).map(([status, described]) => ({ what: `${operationId}, answer ${status}`, ...described })),
      ])
      .filter(({ schema, example }) => schema !== undefined && (example === undefined || !schema.safeParse(example).success));
    expect(wrong.map(({ what }) => what)).toEqual([]);
  });
});
