import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkSchema, findingText } from '../../../src/errors/check-schema.ts';

const schema = z.strictObject({
  version: z.int().positive().optional(),
  label: z.string().min(1).max(3).optional(),
  labels: z.record(z.string(), z.number()).optional(),
  outputs: z.array(z.string()).min(1).max(2).optional(),
  on: z.boolean().optional(),
  format: z.enum(['json', 'pretty']).optional(),
  kind: z.literal('image').optional(),
  name: z.string().regex(/^a/, 'must begin with "a"').optional(),
  policy: z.union([z.literal('all'), z.strictObject({ latest: z.int() })], 'must be "all" or {"latest": N}').optional(),
  image: z.strictObject({ width: z.number().lt(10) }).optional(),
});

function texts(value: unknown, root?: string): readonly string[] {
  const checked = checkSchema(schema, value, root);
  return 'data' in checked ? [] : checked.findings.map(findingText);
}

describe('checkSchema', () => {
  it('gives the value with its defaults', () => {
    expect(checkSchema(z.object({ top: z.int().default(3) }), {})).toEqual({ data: { top: 3 } });
  });

  it.each<[value: unknown, text: string]>([
    [{ version: '1' }, 'version: must be a number, not "1"'],
    [{ version: 1.5 }, 'version: must be a whole number, not 1.5'],
    [{ version: 0 }, 'version: must be more than 0, not 0'],
    [{ version: null }, 'version: must be a number, not null'],
    [{ version: [1] }, 'version: must be a number, not an array'],
    [{ label: {} }, 'label: must be a text, not an object'],
    [{ label: '' }, 'label: must not be empty'],
    [{ label: 'abcd' }, 'label: must have at most 3 characters'],
    [{ labels: 3 }, 'labels: must be an object, not 3'],
    [{ labels: { a: 'x' } }, 'labels.a: must be a number, not "x"'],
    [{ outputs: 'y' }, 'outputs: must be an array, not "y"'],
    [{ outputs: [] }, 'outputs: must not be empty'],
    [{ outputs: ['a', 'b', 'c'] }, 'outputs: must have at most 2 elements'],
    [{ outputs: ['a', true] }, 'outputs[1]: must be a text, not true'],
    [{ on: 1 }, 'on: must be true or false, not 1'],
    [{ format: 'xml' }, 'format: must be one of json, pretty, not "xml"'],
    [{ kind: 'text' }, 'kind: must be image, not "text"'],
    [{ name: 'b' }, 'name: must begin with "a"'],
    [{ policy: 'some' }, 'policy: must be "all" or {"latest": N}'],
    [{ image: {} }, 'image.width: is missing'],
    [{ image: { width: 10 } }, 'image.width: must be less than 10, not 10'],
    [{ image: { width: 1, wide: 2 } }, 'image.wide: is no field here; there are width'],
    [{ version: 'x'.repeat(100) }, `version: must be a number, not "${'x'.repeat(39)}…`],
    [5, 'must be an object, not 5'],
  ])('says of %j what is wrong', (value, text) => {
    expect(texts(value)).toEqual([text]);
  });

  it('names each unknown field and the root', () => {
    const known = 'version, label, labels, outputs, on, format, kind, name, policy, image';
    expect(texts({ verson: 1, lable: 'x', version: true }, 'query')).toEqual([
      'query.version: must be a number, not true',
      `query.verson: is no field here; there are ${known}`,
      `query.lable: is no field here; there are ${known}`,
    ]);
  });
});
