import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { OptimizeResult } from '../../src/jobs/optimization/result.ts';
import { failureOf, post } from '../helpers/http.ts';
import { jobsClient, type JobsClient } from '../helpers/jobs.ts';
import { runningServer } from '../helpers/running-server.ts';
import { unseenDigits } from '../helpers/unseen-digits.ts';

const digits = unseenDigits();
const jobsOf = (address: string): JobsClient => jobsClient(address, '/optimize-jobs');

/** A server with LeNet as a TF.js layers model, and 200 digits to measure it on. */
async function serverWithDigits(settings: Parameters<typeof runningServer>[1] = {}): ReturnType<typeof runningServer> {
  const running = await runningServer(['digits-layers as lenet'], settings);
  const created = await post(running.address, '/datasets?name=digits-test', digits, 'application/octet-stream');
  expect(created.status, await created.text()).toBe(201);
  return running;
}

/** Times are not what these tests are about: chance on a busy machine is not to decide. */
const SLOWDOWN = 1_000;

const SPEC = {
  model: 'lenet',
  techniques: ['weights-uint8', 'weights-float16'],
  data: 'digits-test',
  limits: { accuracyDrop: 0.02, slowdown: SLOWDOWN },
};

describe('optimization jobs', () => {
  it('measure each variant beside its parent and publish the best one, with where it comes from', async () => {
    const { address } = await serverWithDigits();
    const jobs = jobsOf(address);
    const { id } = await jobs.submit({ ...SPEC, objective: 'size', publish: { label: 'small' } });
    const events = await jobs.eventsOf(id);
    const types = events.map(({ type }) => type).filter((type) => type !== 'process');
    expect(types).toEqual(['state', 'state', 'prepared', 'parent', 'variant', 'variant', 'result', 'state']);
    expect(await jobs.eventsOf(id, events.length - 2)).toEqual(events.slice(-2));

    const job = await jobs.describe(id);
    expect(job).toMatchObject({ state: 'succeeded', reason: '', progress: 1, spec: { version: 1, data: { target: 'label' } } });
    const { data, parent, variants, published, untried } = job.result as OptimizeResult;
    expect(data).toMatchObject({ source: 'the dataset digits-test', rows: { evaluation: 160, calibration: 40, fineTuning: 0 } });
    expect(parent).toMatchObject({ model: 'lenet', version: 1, engine: 'onnx cpu, compiled' });
    expect(parent.accuracy).toBeGreaterThanOrEqual(0.97);
    expect(parent.latencies.map(({ batch }) => batch)).toEqual([1, 32]);
    expect(variants.map(({ techniques, verdict }) => [techniques[0]!.kind, verdict])).toEqual([
      ['weights-uint8', 'published'],
      ['weights-float16', 'accepted'],
    ]);
    const [smallest] = variants;
    expect(smallest!.measurement!.sizeRatio).toBeGreaterThan(3.5);
    expect(smallest!.measurement!.comparison.agreement).toBeGreaterThanOrEqual(0.98);
    expect(smallest!.onFront).toBe(true);
    expect(untried).toEqual([]);
    expect(published).toEqual({ model: 'lenet', version: 2 });

    const { manifest } = (await (await fetch(`${address}/models/lenet/versions/2`)).json()) as { manifest: Record<string, unknown> };
    expect(manifest).toMatchObject({
      metrics: { accuracy: smallest!.measurement!.accuracy },
      lineage: {
        job: id,
        parent: { model: 'lenet', version: 1, files: { 'model.json': expect.stringMatching(/^[0-9a-f]{64}$/) as string } },
        techniques: [{ kind: 'weights-uint8' }],
        limits: { accuracyDrop: 0.02 },
        measurement: { sizeBytes: smallest!.measurement!.sizeBytes },
        decision: expect.stringMatching(/^published: .* best of 2 by size, out of 2/) as string,
      },
      files: { 'weights.bin': expect.any(String) as string },
    });
    const labelled = await post(
      address,
      '/predict',
      JSON.stringify({ model: 'lenet', label: 'small', inputs: [Array.from({ length: 28 }, () => Array.from({ length: 28 }, () => [0]))] }),
    );
    expect(await labelled.json()).toMatchObject({ version: 2 });
  });

  it('turn down what does not keep to the limits, is of no use or cannot be done, and publish nothing then', async () => {
    const { address } = await serverWithDigits();
    const jobs = jobsOf(address);
    const { id } = await jobs.submit({ ...SPEC, limits: { sizeBytes: 1_000, latencyMs: 1e-6, slowdown: SLOWDOWN }, budget: { tries: 1 } });
    const job = await jobs.ended(id);
    expect(job).toMatchObject({ state: 'succeeded', reason: 'Not published: no variant keeps to the limits.' });
    const { variants, published, untried } = job.result as OptimizeResult;
    expect(published).toBeUndefined();
    expect(variants).toHaveLength(1);
    expect(untried).toEqual([[{ kind: 'weights-float16' }]]);
    for (const { verdict, reasons } of variants) {
      expect(verdict).toBe('refused');
      expect(reasons[0]).toMatch(/^too slow: a batch of 1 takes .* ms; 0\.000001 ms are allowed$/);
      expect(reasons[1]).toMatch(/^too large: the files have \d+ bytes; 1000 are allowed$/);
    }
    const { versions } = (await (await fetch(`${address}/models/lenet`)).json()) as { versions: unknown[] };
    expect(versions).toHaveLength(1);
  });

  it('take channels and weights out, train what is left, and quantize it; what is worse by then is refused', async () => {
    const { address } = await serverWithDigits();
    const jobs = jobsOf(address);
    const { id } = await jobs.submit({
      model: 'lenet',
      techniques: ['prune-filters', { kind: 'prune-filters', share: 0.9 }, { kind: 'prune-weights', share: 0.8 }, 'int8'],
      data: { dataset: 'digits-test', split: { validation: 0.15, test: 0.35 } },
      fineTuning: { epochs: 2 },
      limits: { accuracyDrop: 0.2, slowdown: SLOWDOWN },
      objective: 'size',
      budget: { tries: 5 },
      publish: { model: 'small' },
    });
    const job = await jobs.ended(id);
    expect(job).toMatchObject({ state: 'succeeded', reason: '' });
    const { data, parent, variants, published } = job.result as OptimizeResult;
    expect(data).toMatchObject({ split: 'the split that was asked for', rows: { evaluation: 70, calibration: 30, fineTuning: 100 } });
    expect(parent.multiplications).toBe(416_520);
    const [half, most, sparse, small, both] = variants;

    expect(half!.measurement!.multiplications).toBe(133_740);
    expect(half!.measurement!.sizeRatio).toBeGreaterThan(3);
    expect(half!.layers.map(({ layer, before, after }) => [layer, before, after])).toEqual([
      ['conv2d_1', 6, 3],
      ['conv2d_3', 16, 8],
      ['dense_6', 120, 60],
      ['dense_7', 84, 42],
    ]);
    for (const { sensitivity } of [...half!.layers, ...sparse!.layers]) expect(sensitivity).toBeTypeOf('number');
    expect(half!.notes[0]).toMatch(/416520 multiplications became 133740; then it was fine-tuned over 2 epochs$/);

    expect(most).toMatchObject({ verdict: 'refused' });
    expect(most!.reasons[0]).toMatch(/^worse: the accuracy drops by .* points; 20\.00 points are allowed \(the parent alone is right on/);

    const zeros = sparse!.layers.reduce((sum, { before, after }) => sum + before - after, 0);
    const all = sparse!.layers.reduce((sum, { before }) => sum + before, 0);
    expect(zeros / all).toBeCloseTo(0.8, 2);
    expect(sparse!.measurement!.sizeBytes).toBeCloseTo(parent.sizeBytes, -3);
    expect(sparse!.measurement!.compressedBytes).toBeLessThan(parent.compressedBytes / 2);

    expect(['accepted', 'published']).toContain(small!.verdict);
    expect(small!.measurement).toMatchObject({ engine: 'onnx cpu' });
    expect(small!.notes[0]).toMatch(/^compiled to ONNX/);
    expect(small!.measurement!.sizeRatio).toBeGreaterThan(3.4);

    // The best of them together, on what was made of the first.
    expect(both!.techniques).toHaveLength(2);
    expect(both!.notes.length).toBeGreaterThan(1);
    expect(published).toEqual({ model: 'small', version: 1 });
  });

  it('train kernels as the numbers of 8 bits before these are made, where there are layers to train', async () => {
    const { address } = await serverWithDigits();
    const jobs = jobsOf(address);
    const asked = {
      techniques: ['int8-aware'],
      fineTuning: { epochs: 1, teacher: {} },
      limits: { accuracyDrop: 0.2, slowdown: SLOWDOWN },
      publish: false,
    };
    const data = { dataset: 'digits-test', split: { validation: 0.15, test: 0.35 } };
    const { id } = await jobs.submit({ ...asked, model: 'lenet', data });
    const [variant] = ((await jobs.ended(id)).result as OptimizeResult).variants;
    expect(variant).toMatchObject({ verdict: 'accepted', measurement: { engine: 'onnx cpu' } });
    expect(variant!.measurement!.sizeRatio).toBeGreaterThan(3.4);
    expect(variant!.notes).toHaveLength(3);
    expect(variant!.notes[0]).toBe('5 kernels were trained over 1 epochs, taught by the version, as the numbers that 8 bits can be');
    expect(variant!.notes[2]).toMatch(/compute with 8-bit integers/);

    // Without training rows of its own.
    const untaught = await jobs.submit({ ...asked, model: 'lenet', data: 'digits-test' });
    const [unfit] = ((await jobs.ended(untaught.id)).result as OptimizeResult).variants;
    expect(unfit).toMatchObject({ verdict: 'inapplicable', reasons: [expect.stringMatching(/^there are no rows to train on/)] });
  });

  it('measure on the evaluation set that a version brings along; smaller files are taken, int8 is refused where its ranges cost too much', async () => {
    const { address } = await runningServer(['digits']);
    const jobs = jobsOf(address);
    const narrow = { kind: 'int8', perChannel: false, calibration: 'percentile', percentile: 50, leastSignalToNoise: 0 };
    const techniques = ['int8', narrow, 'int8-dynamic', 'float16', 'weights-int8', { kind: 'cluster', clusters: 64 }, 'int8-aware'];
    const { id } = await jobs.submit({ model: 'digits', techniques, limits: { accuracyDrop: 0.005, slowdown: SLOWDOWN }, publish: false });
    const job = await jobs.ended(id);
    expect(job.reason).toBe('Not published, as was asked.');
    const { data, parent, variants } = job.result as OptimizeResult;
    expect(data).toMatchObject({ source: 'evaluation.npz of the version', rows: { evaluation: 1_600, calibration: 400 } });
    expect(parent.accuracy).toBeGreaterThan(0.98);
    expect(variants[0]).toMatchObject({ verdict: 'accepted' });
    expect(variants[0]!.measurement!.sizeRatio).toBeGreaterThan(3.5);
    expect(variants[1]).toMatchObject({ verdict: 'refused' });
    const { comparison } = variants[1]!.measurement!;
    expect(comparison.accuracyDrop).toBeGreaterThan(0.02);
    expect(comparison.pValue).toBeLessThan(1e-6);
    expect(variants.at(-1)).toMatchObject({
      verdict: 'inapplicable',
      reasons: ['its format is onnx, and weights of TF.js layers models alone are trained here; int8 makes integers of it as it is'],
    });
    const ratios = variants.slice(2, -1).map(({ techniques: [technique], verdict, measurement }) => {
      expect(verdict).toBe('accepted');
      return [technique!.kind, Math.round(measurement!.sizeRatio)];
    });
    expect(ratios).toEqual([
      ['int8-dynamic', 3],
      ['float16', 2],
      ['weights-int8', 4],
      ['cluster', 4],
    ]);
  });

  it('go on with the other variants when the process of one is killed', async () => {
    const { address } = await serverWithDigits();
    const jobs = jobsOf(address);
    const { id } = await jobs.submit(SPEC);
    const parent = await jobs.eventFrom(id, ({ type }) => type === 'parent');
    const { data } = await jobs.eventFrom(id, (event) => event.type === 'process' && event.id > parent.id);
    process.kill(data['pid'] as number, 'SIGKILL');
    const job = await jobs.ended(id);
    expect(job).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect((job.result as OptimizeResult).variants.map(({ verdict, reasons }) => [verdict, reasons[0]])).toEqual([
      ['failed', 'The process of the job was ended by SIGKILL.'],
      ['published', undefined],
    ]);
  });

  it('are cancelled and go on where they were; the version may be gone by then', async () => {
    const { address, models, state } = await serverWithDigits();
    const jobs = jobsOf(address);
    const key = { 'idempotency-key': 'one' };
    const spec = { ...SPEC, publish: { model: 'small' } };
    const { id } = await jobs.submit(spec, key);
    expect((await jobs.submit(spec, key)).id).toBe(id);
    await jobs.eventFrom(id, ({ type }) => type === 'variant');
    await post(address, `/optimize-jobs/${id}/cancel`);
    expect((await jobs.ended(id)).state).toBe('cancelled');
    await rm(join(models, 'lenet'), { recursive: true });

    expect((await post(address, `/optimize-jobs/${id}/resume`)).status).toBe(202);
    const job = await jobs.ended(id);
    expect(job).toMatchObject({ state: 'succeeded', attempts: 2, result: { published: { model: 'small', version: 1 } } });
    const types = (await jobs.eventsOf(id)).map(({ type }) => type);
    expect(types.filter((type) => type === 'parent')).toHaveLength(1);
    expect(types.filter((type) => type === 'variant')).toHaveLength(2);
    expect((await fetch(`${address}/optimize-jobs/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect(await (await fetch(`${address}/optimize-jobs`)).json()).toEqual({ jobs: [] });
    expect(await readdir(join(state, 'jobs'))).not.toContain(id);
  });

  it('do not put a variant of one version in the place of another one that answers', async () => {
    const { address } = await serverWithDigits();
    const jobs = jobsOf(address);
    const spec = { ...SPEC, techniques: ['weights-uint8'], budget: { tries: 1 } };
    const first = await jobs.ended((await jobs.submit(spec)).id);
    expect(first).toMatchObject({ reason: '', result: { published: { model: 'lenet', version: 2 } } });
    const second = await jobs.ended((await jobs.submit({ ...spec, version: 1 })).id);
    expect(second).toMatchObject({
      state: 'succeeded',
      reason: /^Not published: version 2 of "lenet" answers now, and the variant is one of version 1\./,
    });
    expect((second.result as OptimizeResult).variants).toMatchObject([{ verdict: 'accepted' }]);
    const aside = await jobs.ended((await jobs.submit({ ...spec, version: 1, publish: { model: 'small' } })).id);
    expect(aside).toMatchObject({ reason: '', result: { published: { model: 'small', version: 1 } } });
  });

  it('never train a variant on the rows that it is measured on', async () => {
    const { address } = await runningServer(['digits']);
    const jobs = jobsOf(address);
    const upload = await post(
      address,
      '/datasets?name=own&file=evaluation.npz',
      await readFile('models/digits/1/evaluation.npz'),
      'application/octet-stream',
    );
    expect(upload.status).toBe(201);
    const { id } = await jobs.submit({ model: 'digits', techniques: ['int8'], fineTuning: { dataset: 'own', target: 'label' } });
    expect(await jobs.ended(id)).toMatchObject({
      state: 'failed',
      error: { code: 'UNSUITABLE_DATA' },
      reason: /fineTuning\.dataset holds the rows/,
    });
  });

  it('refuse before the queue what is wrong', async () => {
    const { address } = await serverWithDigits();
    for (const [change, status, code, message] of [
      [{ model: 'none' }, 404, 'MODEL_NOT_FOUND', /none/],
      [{ version: 9 }, 404, 'VERSION_NOT_FOUND', /9/],
      [{ label: 'stable' }, 404, 'LABEL_NOT_FOUND', /stable/],
      [{ label: 'stable', version: 1 }, 400, 'INVALID_REQUEST', /one of them/],
      [{ techniques: ['int7'] }, 400, 'INVALID_REQUEST', /techniques\[0\]: must be one of prune-filters, /],
      [{ techniques: [] }, 400, 'INVALID_REQUEST', /techniques/],
      [{ data: 'none' }, 404, 'DATASET_NOT_FOUND', /none/],
      [{ data: { dataset: 'digits-test', target: 'digit' } }, 400, 'COLUMN_NOT_FOUND', /"digit"; it has image, label/],
      [{ data: undefined }, 409, 'UNSUITABLE_DATA', /lenet\/1 names no evaluation set/],
      [{ limits: { accuracyDrop: -1 } }, 400, 'INVALID_REQUEST', /limits\.accuracyDrop/],
      [{ budget: { tries: 0 } }, 400, 'INVALID_REQUEST', /budget\.tries/],
      [{ limit: {} }, 400, 'INVALID_REQUEST', /limit: is no field here/],
    ] as const) {
      const failure = await failureOf(await post(address, '/optimize-jobs', JSON.stringify({ ...SPEC, ...change })));
      expect(failure).toMatchObject({ status, code });
      expect(failure.message).toMatch(message);
    }
    expect(await (await fetch(`${address}/optimize-jobs`)).json()).toEqual({ jobs: [] });
  });

  it('say of an ONNX file with more nodes than the settings let it have that this is why it is not rewritten', async () => {
    const { address } = await serverWithDigits({ limits: { maxGraphParts: 10 } });
    const jobs = jobsOf(address);
    const { id } = await jobs.submit({ ...SPEC, techniques: ['cluster'] });
    const { variants } = (await jobs.ended(id)).result as OptimizeResult;
    expect(variants).toMatchObject([
      { verdict: 'failed', reasons: [/has more than 10 nodes, values and attributes; so many are allowed/] },
    ]);
  });

  it('fail with the reason when the data does not fit the model', async () => {
    const { address } = await serverWithDigits();
    const rows = 'a,b,label\n1,2,0\n3,4,1\n5,6,0\n7,8,1\n1,3,0\n1,4,1\n';
    expect((await post(address, '/datasets?name=table', rows, 'text/csv')).status).toBe(201);
    const { id } = await jobsOf(address).submit({ ...SPEC, data: 'table' });
    const job = await jobsOf(address).ended(id);
    expect(job).toMatchObject({ state: 'failed', error: { code: 'UNSUITABLE_DATA' } });
    expect(job.reason).toMatch(/takes rows of the shape \[28, 28, 1\]; those of the dataset have \[2\]/);
  });
});
