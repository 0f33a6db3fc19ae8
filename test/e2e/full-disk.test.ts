import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { post } from '../helpers/http.ts';
import { startProcess } from '../helpers/started-process.ts';

const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));

// A limit on the size of files stands for a full disk: the system refuses to write on, in the middle of the file.
describe.skipIf(process.platform === 'win32')('a training job on a full disk', () => {
  it('ends as failed and says so; the server goes on, and a smaller job does its work', async () => {
    const server = await startProcess(['times-three'], { before: 'ulimit -f 32768', args: ['--jobs-checkpoint-ms', '0'] });
    const address = await server.address();
    await server.lineWith('ready:');
    expect((await post(address, '/datasets?name=wine', wine, 'text/csv')).status).toBe(201);
    const train = async (hidden: readonly number[]): Promise<Job> => {
      const spec = { dataset: 'wine', target: 'kind', architecture: { kind: 'mlp', hidden }, epochs: 1, publish: { model: 'wine' } };
      const { id } = (await (await post(address, '/train-jobs', JSON.stringify(spec))).json()) as Job;
      await (await fetch(`${address}/train-jobs/${id}/events`)).text();
      return (await (await fetch(`${address}/train-jobs/${id}`)).json()) as Job;
    };

    // Weights and what Adam remembers of them: 75 MB.
    const large = await train([2_500, 2_500]);
    expect(large).toMatchObject({ state: 'failed', error: { code: 'STORAGE_FULL' } });
    expect(large.reason).toMatch(/^The disk is full/);
    // Nothing half written is left behind.
    expect(await readdir(join(server.state, 'jobs', large.id))).toEqual([]);
    expect((await fetch(`${address}/models/wine`)).status).toBe(404);

    expect(await train([8])).toMatchObject({ state: 'succeeded', result: { published: { model: 'wine', version: 1 } } });
    const answer = await post(address, '/predict', JSON.stringify({ model: 'times-three', inputs: [2] }));
    expect(((await answer.json()) as { outputs: object }).outputs).toEqual({ y: [6] });
  });
});
