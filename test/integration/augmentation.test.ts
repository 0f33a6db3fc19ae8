import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { idxOf, realDigits, SIDE } from '../helpers/digits.ts';
import { failureOf, post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

const SPEC = {
  dataset: 'digits',
  architecture: { kind: 'mlp', hidden: [16] },
  augmentation: { shift: 0.1, rotate: 10, noise: 0.01 },
  epochs: 20,
  batchSize: 16,
  seed: 1,
};

async function submit(address: string, spec: unknown): Promise<string> {
  const response = await post(address, '/train-jobs', JSON.stringify(spec));
  expect(response.status).toBe(202);
  return ((await response.json()) as Job).id;
}

async function ended(address: string, id: string): Promise<Job> {
  await (await fetch(`${address}/train-jobs/${id}/events`)).text();
  return (await (await fetch(`${address}/train-jobs/${id}`)).json()) as Job;
}

const digestOf = ({ result }: Job): string => (result as { weightsDigest: string }).weightsDigest;

describe('augmentation of a training job', () => {
  it('gives the same weights when the job was interrupted, and others than without it', async () => {
    const { address } = await runningServer([], { jobs: { checkpointMs: 0 } });
    const { images, labels } = realDigits(20);
    const form = new FormData();
    form.set('name', 'digits');
    form.append('file', new Blob([idxOf([labels.length, SIDE, SIDE], images)]), 'images-idx3-ubyte');
    form.append('file', new Blob([idxOf([labels.length], labels)]), 'labels-idx1-ubyte');
    expect((await fetch(`${address}/datasets`, { method: 'POST', body: form })).status).toBe(201);

    const whole = await ended(address, await submit(address, SPEC));
    expect(whole).toMatchObject({ state: 'succeeded' });
    const id = await submit(address, SPEC);
    const stream = await fetch(`${address}/train-jobs/${id}/events`);
    let text = '';
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('event: epoch')) break;
    }
    await post(address, `/train-jobs/${id}/cancel`);
    expect((await ended(address, id)).state).toBe('cancelled');
    await post(address, `/train-jobs/${id}/resume`);
    const resumed = await ended(address, id);
    expect(resumed).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(digestOf(resumed)).toBe(digestOf(whole));
    const { augmentation: _none, ...plain } = SPEC;
    expect(digestOf(await ended(address, await submit(address, plain)))).not.toBe(digestOf(whole));
  });

  it('is refused for data without images', async () => {
    const { address } = await runningServer([]);
    await post(address, '/datasets?name=digits', 'a,label\n1,x\n2,y\n3,x\n4,y\n', 'text/csv');
    const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify(SPEC)));
    expect(failure).toMatchObject({ code: 'UNSUITABLE_DATA', details: [{ path: 'augmentation' }] });
    expect(failure.message).toBe('augmentation is for images; what the model is to read is a table.');
  });
});
