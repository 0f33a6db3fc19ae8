import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rolloutSchema } from '../../../src/packages/rollout.ts';
import { createCountsFile } from '../../../src/rollouts/counts-file.ts';
import { NO_COUNTS } from '../../../src/rollouts/judgement.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const rollout = rolloutSchema.parse({ candidate: 2, baseline: 1, startedAt: '2026-11-24T12:00:00.000Z' });
const counts = { ...NO_COUNTS, candidateRequests: 7, candidateFailures: 1 };

it('gives back the counts of the same rollout only, until they are removed', async () => {
  const folder = join(await temporaryFolder(), 'rollouts');
  const file = createCountsFile(folder);
  expect(file.read('m', rollout)).toEqual(NO_COUNTS);
  await file.write('m', rollout, counts);
  expect(await readdir(folder)).toEqual(['m.json']);
  expect(createCountsFile(folder).read('m', rollout)).toEqual(counts);
  expect(file.read('m', { ...rollout, startedAt: '2026-11-24T13:00:00.000Z' })).toEqual(NO_COUNTS);
  expect(file.read('m', { ...rollout, candidate: 3 })).toEqual(NO_COUNTS);
  expect(file.read('n', rollout)).toEqual(NO_COUNTS);
  await file.remove('m');
  await file.remove('m');
  expect(file.read('m', rollout)).toEqual(NO_COUNTS);
});

it.each(['', '{"candidate":2', '{"candidate":2,"startedAt":"2026-11-24T12:00:00.000Z","counts":{"candidateRequests":-1}}'])(
  'counts anew where the file holds %j',
  async (content) => {
    const folder = await temporaryFolder();
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'm.json'), content);
    expect(createCountsFile(folder).read('m', rollout)).toEqual(NO_COUNTS);
  },
);
