import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { sha256Of } from '../../src/packages/file-digest.ts';
import { idxOf, realDigits, SIDE } from '../helpers/digits.ts';
import { failureOf, post } from '../helpers/http.ts';
import { jobsClient } from '../helpers/jobs.ts';
import { runningServer } from '../helpers/running-server.ts';

const { images, labels } = realDigits(24);

async function upload(address: string, name: string, classOf = (label: number): number => label): Promise<void> {
  const form = new FormData();
  form.set('name', name);
  form.append('file', new Blob([idxOf([labels.length, SIDE, SIDE], images)]), 'images-idx3-ubyte');
  form.append('file', new Blob([idxOf([labels.length], labels.map(classOf))]), 'labels-idx1-ubyte');
  expect((await fetch(`${address}/datasets`, { method: 'POST', body: form })).status).toBe(201);
}

/** The bundled LeNet teaches a small network. */
const SPEC = {
  dataset: 'digits',
  architecture: { kind: 'mlp', hidden: [16] },
  teacher: { model: 'digits', temperature: 4, weight: 0.7 },
  optimizer: { kind: 'adam', learningRate: 0.003 },
  epochs: 4,
  seed: 1,
};

interface Result {
  readonly weightsDigest: string;
  readonly published?: { readonly version: number };
}

const resultOf = ({ result }: Job): Result => result as Result;

describe('a training job with a teacher', () => {
  async function prepared() {
    const server = await runningServer(['digits'], { jobs: { checkpointMs: 0 } });
    const jobs = jobsClient(server.address, '/train-jobs');
    await upload(server.address, 'digits');
    const trained = async (spec: object): Promise<Job> => {
      const job = await jobs.ended((await jobs.submit(spec)).id);
      expect(job, job.reason).toMatchObject({ state: 'succeeded' });
      return job;
    };
    return { server, jobs, trained };
  }

  it('learns from an ONNX model, and the lineage names it with the digests of its files', async () => {
    const { server, trained } = await prepared();
    const job = await trained({ ...SPEC, publish: { model: 'student' } });
    expect(job.spec).toMatchObject({ teacher: { model: 'digits', version: 1, temperature: 4, weight: 0.7 } });
    const { version } = resultOf(job).published!;
    const answer = (await (await fetch(`${server.address}/models/student/versions/${version}/lineage`)).json()) as {
      lineage: { teacher: { files: Record<string, string> } };
    };
    expect(answer.lineage.teacher).toMatchObject({ model: 'digits', version: 1, engine: 'onnx cpu' });
    expect(answer.lineage.teacher.files['model.onnx']).toBe(await sha256Of(join(server.models, 'digits/1/model.onnx')));
    const { teacher: _none, ...alone } = SPEC;
    expect(resultOf(await trained(alone)).weightsDigest).not.toBe(resultOf(job).weightsDigest);
  });

  it.each(['onnx', 'tfjs'])('learns from a TF.js model, from augmented images, with the engine %s', async (engine) => {
    const { server, trained } = await prepared();
    const cnn = { architecture: { kind: 'cnn', filters: [4], hidden: [] }, epochs: 1, teacher: undefined, publish: { model: 'cnn' } };
    await trained({ ...SPEC, ...cnn });
    const taught = { ...SPEC, engine, epochs: 2, teacher: { model: 'cnn' }, augmentation: { shift: 0.05 }, publish: { model: 'small' } };
    await trained(taught);
    const answer = await (await fetch(`${server.address}/models/small/versions/1/lineage`)).json();
    expect(answer).toMatchObject({
      lineage: {
        engine: expect.stringContaining(engine),
        teacher: {
          model: 'cnn',
          version: 1,
          engine: 'onnx cpu, compiled',
          files: { 'weights.bin': expect.stringMatching(/^[0-9a-f]{64}$/) },
        },
      },
    });
  });

  it('gives the same weights when its process was killed', async () => {
    const { jobs, trained } = await prepared();
    const whole = resultOf(await trained(SPEC)).weightsDigest;
    const { id } = await jobs.submit(SPEC);
    const { data } = await jobs.eventFrom(id, ({ type }) => type === 'process');
    await jobs.eventFrom(id, ({ type }) => type === 'epoch');
    process.kill(data['pid'] as number, 'SIGKILL');
    const resumed = await jobs.ended(id);
    expect(resumed).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(resultOf(resumed).weightsDigest).toBe(whole);
  });

  it('is refused before it is queued where teacher and data do not go together', async () => {
    const { address, models } = (await prepared()).server;
    await upload(address, 'halves', (label) => label % 2);
    const wine = await readFile(new URL('../../examples/data/wine.csv', import.meta.url));
    await post(address, '/datasets?name=wine', wine, 'text/csv');
    await mkdir(join(models, 'unnamed'), { recursive: true });
    await cp(join(models, 'digits'), join(models, 'unnamed'), { recursive: true });
    const manifest = JSON.parse(await readFile(join(models, 'unnamed/1/slipway.json'), 'utf8')) as Record<string, unknown>;
    const { classification: _classes, files: _files, ...rest } = manifest;
    await writeFile(join(models, 'unnamed/1/slipway.json'), JSON.stringify(rest));
    await post(address, '/models/unnamed/load');
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ teacher: { model: 'nobody' } }, /no model "nobody"/],
      [{ teacher: { model: 'digits', version: 9 } }, /no version 9/],
      [{ teacher: { model: 'unnamed' } }, /Version 1 of "unnamed" cannot teach: "classification" .* does not name its classes/],
      [{ dataset: 'halves' }, /was not trained for the classes of "label": the data lacks "2", "3", "4", "5", "6" and others\./],
      [{ dataset: 'wine', target: 'kind' }, /The data has no images, which version 1 of "digits" is for\./],
      [{ image: { width: 14 } }, /says itself how it reads its input; leave out "image"/],
      [{ teacher: { model: 'digits', weight: 0 } }, /weight/],
      [{ task: 'regression', loss: 'huber' }, /A teacher gives probabilities of classes; the target is a number\./],
    ];
    const before = ((await (await fetch(`${address}/train-jobs`)).json()) as { jobs: unknown[] }).jobs.length;
    for (const [change, message] of cases) {
      const failure = await failureOf(await post(address, '/train-jobs', JSON.stringify({ ...SPEC, ...change })));
      expect(JSON.stringify(failure)).toMatch(
        message.source.includes('"') ? new RegExp(message.source.replaceAll('"', String.raw`\\"`)) : message,
      );
    }
    expect(((await (await fetch(`${address}/train-jobs`)).json()) as { jobs: unknown[] }).jobs).toHaveLength(before);
  });
});
