import { expect } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { post } from './http.ts';

/** Submits a training job and waits for its end. */
export async function trained(address: string, spec: object): Promise<Job> {
  const response = await post(address, '/train-jobs', JSON.stringify(spec));
  const body = await response.text();
  expect(response.status, body).toBe(202);
  const { id } = JSON.parse(body) as Job;
  // The stream ends with the job.
  await (await fetch(`${address}/train-jobs/${id}/events`)).text();
  return (await (await fetch(`${address}/train-jobs/${id}`)).json()) as Job;
}
