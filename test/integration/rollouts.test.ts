import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, vi } from 'vitest';
import { realDigits, SIDE } from '../helpers/digits.ts';
import { node, ONNX_TYPES, onnxModel } from '../helpers/onnx-model.ts';
import { failureOf, post } from '../helpers/http.ts';
import { grpcClient } from '../helpers/grpc.ts';
import { placeOf } from '../../src/rollouts/assignment.ts';
import { runningServer, type RunningServer } from '../helpers/running-server.ts';

interface RolloutAnswer {
  readonly rollout: Record<string, unknown>;
  readonly counts: Record<string, number>;
  readonly largestDifference: number;
  readonly test: { readonly verdict: string; readonly reason: string; readonly findings: readonly unknown[] };
}

type Settings = Parameters<typeof runningServer>[1];

/** Takes any shape, and fails when it is run on more than one number. */
const ONE_NUMBER_ONLY = onnxModel({
  inputs: [{ name: 'x', type: 'FP32', shape: [null] }],
  outputs: [{ name: 'y', type: 'FP32', shape: [null] }],
  nodes: [node('Reshape', ['x', 'one'], ['y'])],
  initializers: [{ name: 'one', dataType: ONNX_TYPES.INT64, dims: [1], int64Data: [1] }],
});

/** Puts another version of the model "m" beside it: the same one, or one that multiplies by 4 in place of 3, or one that fails at two numbers. */
async function addVersion(models: string, version: number, kind: 'same' | 'other' | 'strict' = 'same'): Promise<void> {
  const folder = join(models, 'm', String(version));
  if (kind === 'strict') {
    await mkdir(folder);
    return writeFile(join(folder, 'model.onnx'), ONE_NUMBER_ONLY);
  }
  await cp(join(models, 'm/1'), folder, { recursive: true });
  if (kind === 'same') return;
  const file = join(folder, 'model.onnx');
  const content = await readFile(file);
  content.writeFloatLE(4, content.indexOf(Buffer.from(Float32Array.of(3).buffer)));
  await writeFile(file, content);
}

/** A server that serves version 1 of "m" alone, whatever else there is. */
async function serverOfOne(settings: Settings = {}): Promise<RunningServer> {
  const running = await runningServer(['times-three as m'], settings);
  await writeFile(join(running.models, 'm/slipway-model.json'), '{"versionPolicy":{"versions":[1]}}');
  return running;
}

const put = (address: string, body: object): Promise<Response> =>
  fetch(`${address}/models/m/rollout`, { method: 'PUT', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });

async function begun(address: string, body: object): Promise<RolloutAnswer> {
  const answer = await put(address, body);
  expect(answer.status, await answer.clone().text()).toBe(200);
  return (await answer.json()) as RolloutAnswer;
}

async function described(address: string): Promise<RolloutAnswer> {
  return (await (await fetch(`${address}/models/m/rollout`)).json()) as RolloutAnswer;
}

/** The version that answers. */
async function answering(address: string, headers: Record<string, string> = {}, reference: object = {}): Promise<number> {
  const answer = await fetch(`${address}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'm', inputs: [1, 2], ...reference }),
  });
  expect(answer.status, await answer.clone().text()).toBe(200);
  return ((await answer.json()) as { version: number }).version;
}

async function answers(address: string, count: number, headers?: Record<string, string>): Promise<Record<number, number>> {
  const versions: Record<number, number> = {};
  for (let request = 0; request < count; request += 1) {
    const version = await answering(address, headers);
    versions[version] = (versions[version] ?? 0) + 1;
  }
  return versions;
}

const SOON = { timeout: 20_000, interval: 50 };

describe('a rollout', () => {
  it('gives the candidate its share of the clients, the same ones each time, whatever protocol they speak', async () => {
    const running = await serverOfOne({ clients: { identifiedBy: 'header', header: 'x-user' } as never });
    const { address, models, server } = running;
    await addVersion(models, 2);
    expect(await begun(address, { candidate: 2, weight: 0.5 })).toMatchObject({
      rollout: { candidate: 2, baseline: 1, weight: 0.5, sticky: true, shadow: 0, automatic: false },
      test: { verdict: 'open' },
    });
    const byUser: Record<string, number> = {};
    for (const user of ['anna', 'bert', 'carl', 'dora', 'emil', 'fred']) byUser[user] = await answering(address, { 'x-user': user });
    expect(new Set(Object.values(byUser))).toEqual(new Set([1, 2]));
    const grpc = grpcClient(
      server.addresses.find((each) => !each.startsWith('http'))!,
      'inference.proto',
      'inference.GRPCInferenceService',
    );
    for (const [user, version] of Object.entries(byUser)) {
      expect(await answering(address, { 'x-user': user })).toBe(version);
      const v2 = await fetch(`${address}/v2/models/m/infer`, {
        method: 'POST',
        headers: { 'x-user': user, 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }),
      });
      expect(((await v2.json()) as { model_version: string }).model_version).toBe(String(version));
      const called = await grpc.call(
        'ModelInfer',
        { model_name: 'm', inputs: [{ name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } }] },
        { metadata: { 'x-user': user } },
      );
      expect(called['model_version']).toBe(String(version));
    }
    // Who names a version or a label gets it.
    for (const version of [1, 2]) expect(await answering(address, { 'x-user': 'anna' }, { version })).toBe(version);
    const { counts } = await described(address);
    expect(counts['candidateRequests']! + counts['baselineRequests']!).toBe(6 * 4);
    const metrics = await (await fetch(`${address}/metrics`)).text();
    expect(metrics).toContain(
      `slipway_rollout_requests_total{model="m",version="2",role="candidate",outcome="success"} ${counts['candidateRequests']}`,
    );
  });

  it('is changed while it goes on, and promoted: the candidate answers, and the lineage of both says so', async () => {
    const { address, models } = await serverOfOne();
    await addVersion(models, 2);
    await begun(address, { candidate: 2, weight: 0 });
    expect(await answers(address, 3)).toEqual({ 1: 3 });
    await begun(address, { candidate: 2, weight: 1 });
    expect(await answers(address, 4)).toEqual({ 2: 4 });
    expect((await described(address)).counts).toMatchObject({ baselineRequests: 3, candidateRequests: 4 });
    expect(await (await fetch(`${address}/models/m`)).json()).toMatchObject({ defaultVersion: 1, rollout: { candidate: 2 } });

    const ended = await post(address, '/models/m/rollout/promote');
    expect(await ended.json()).toMatchObject({ defaultVersion: 2, versionPolicy: { versions: [2] } });
    expect(await answers(address, 2)).toEqual({ 2: 2 });
    expect(await failureOf(await fetch(`${address}/models/m/rollout`))).toMatchObject({ status: 404, code: 'ROLLOUT_NOT_FOUND' });
    for (const version of [1, 2]) {
      expect(await (await fetch(`${address}/models/m/versions/${version}/lineage`)).json()).toMatchObject({
        rollouts: [
          { decision: 'promoted', by: 'request', candidate: 2, baseline: 1, counts: { candidateRequests: 4, baselineRequests: 3 } },
        ],
      });
    }
  });

  it('of a label moves the label, and of a version that answers already begins with the one before', async () => {
    const { address, models } = await runningServer(['times-three as m']);
    await addVersion(models, 2);
    await vi.waitFor(async () => expect(await answering(address)).toBe(2), SOON);
    await fetch(`${address}/models/m/labels/stable`, {
      method: 'PUT',
      body: '{"version":1}',
      headers: { 'content-type': 'application/json' },
    });
    await begun(address, { candidate: 2, label: 'stable', weight: 1 });
    expect(await answering(address, {}, { label: 'stable' })).toBe(2);
    expect(await failureOf(await fetch(`${address}/models/m/labels/stable`, { method: 'DELETE' }))).toMatchObject({ code: 'MODEL_BUSY' });
    expect(await (await post(address, '/models/m/rollout/promote')).json()).toMatchObject({ labels: { stable: 2 } });

    expect(await begun(address, { candidate: 2, weight: 0 })).toMatchObject({ rollout: { baseline: 1 } });
    expect(await answering(address)).toBe(1);
    expect(await (await post(address, '/models/m/rollout/roll-back')).json()).toMatchObject({
      defaultVersion: 1,
      versionPolicy: { versions: [1] },
    });
    expect(await answering(address)).toBe(1);
  });

  it('runs shadow requests that nobody sees the answers of, and rolls back by itself where they disagree', async () => {
    const { address, models } = await serverOfOne();
    await addVersion(models, 2, 'other');
    await begun(address, { candidate: 2, weight: 0, shadow: 1, automatic: true, maxDisagreement: 0.3 });
    expect(await answers(address, 32)).toEqual({ 1: 32 });
    await vi.waitFor(async () => expect((await fetch(`${address}/models/m/rollout`)).status).toBe(404), SOON);
    expect(await (await fetch(`${address}/models/m/versions/2/lineage`)).json()).toMatchObject({
      rollouts: [{ decision: 'rolled_back', by: 'test', reason: /of the shadow answers disagree, more than the bound of 30\.00 %/ }],
    });
    expect(await (await fetch(`${address}/models/m`)).json()).toMatchObject({ defaultVersion: 1 });
  });

  it('tells a damaged classifier by its classes', async () => {
    const { address, models } = await runningServer(['digits as m']);
    await writeFile(join(models, 'm/slipway-model.json'), '{"versionPolicy":{"versions":[1]}}');
    await cp(join(models, 'm/1'), join(models, 'm/2'), { recursive: true });
    const { files: _digests, ...manifest } = JSON.parse(await readFile(join(models, 'm/1/slipway.json'), 'utf8')) as { files: object };
    await writeFile(join(models, 'm/2/slipway.json'), JSON.stringify(manifest));
    const file = join(models, 'm/2/model.onnx');
    const content = await readFile(file);
    // Weights, in the middle of the file, become 0.747: it is the number whose four bytes are alike.
    await writeFile(file, content.fill(0x3f, content.length >> 1, (content.length >> 1) + 60_000));
    await begun(address, { candidate: 2, weight: 0, shadow: 1, automatic: true });
    const { images } = realDigits(3);
    const pixels = SIDE * SIDE;
    for (let at = 0; at < images.length; at += pixels) {
      const digit = await sharp(Buffer.from(images.subarray(at, at + pixels)), { raw: { width: SIDE, height: SIDE, channels: 1 } })
        .png()
        .toBuffer();
      const answer = await post(address, '/predict?model=m', new Uint8Array(digit), 'image/png');
      expect(await answer.json()).toMatchObject({ version: 1 });
    }
    await vi.waitFor(async () => expect((await fetch(`${address}/models/m/rollout`)).status).toBe(404), SOON);
    const lineage = (await (await fetch(`${address}/models/m/versions/2/lineage`)).json()) as {
      rollouts: { counts: Record<string, number> }[];
    };
    expect(lineage).toMatchObject({ rollouts: [{ decision: 'rolled_back', by: 'test' }] });
    expect(lineage.rollouts[0]!.counts['disagreements']).toBeGreaterThan(3);
  });

  it('promotes by itself a candidate that answers as the baseline does, and tells how far it is', async () => {
    const { address, models } = await serverOfOne();
    await addVersion(models, 2);
    const bounds = { maxDisagreement: 0.2, maxFailureIncrease: 0.5 };
    await begun(address, { candidate: 2, weight: 0.5, sticky: false, shadow: 1, automatic: true, ...bounds });
    expect(await answers(address, 8)).toMatchObject({});
    const far = await described(address);
    expect(far.test).toMatchObject({ verdict: 'open', findings: [{ criterion: 'failures' }, { criterion: 'disagreement' }] });
    for (let round = 0; round < 40 && (await fetch(`${address}/models/m/rollout`)).status === 200; round += 1) await answers(address, 16);
    expect(await (await fetch(`${address}/models/m/versions/2/lineage`)).json()).toMatchObject({
      rollouts: [{ decision: 'promoted', by: 'test', counts: { candidateFailures: 0, disagreements: 0 } }],
    });
    expect(await answers(address, 4)).toEqual({ 2: 4 });
  });

  it('counts the failures of the candidate, and answers by the baseline where the candidate is not there', async () => {
    const { address, models } = await serverOfOne();
    await addVersion(models, 2, 'strict');
    await begun(address, { candidate: 2, weight: 1 });
    const refused = await post(address, '/predict', '{"model":"m","inputs":[1,2]}');
    expect(await failureOf(refused)).toMatchObject({ status: 500, code: 'INFERENCE_FAILED' });
    await vi.waitFor(async () => expect((await described(address)).counts).toMatchObject({ candidateRequests: 1, candidateFailures: 1 }));
    // What is wrong with a request is not held against the version that it is kept at.
    expect((await post(address, '/predict', '{"model":"m","inputs":[[1]]}')).status).toBe(400);
    expect((await described(address)).counts).toMatchObject({ candidateRequests: 1, candidateFailures: 1 });
    await rm(join(models, 'm/2'), { recursive: true });
    await vi.waitFor(async () => {
      expect(await answering(address)).toBe(1);
      // Not while it drains: only once it is gone.
      expect((await described(address)).counts['unavailable']).toBeGreaterThan(0);
    }, SOON);
    expect(await failureOf(await post(address, '/models/m/rollout/promote'))).toMatchObject({ status: 404, code: 'VERSION_NOT_FOUND' });
    expect((await post(address, '/models/m/rollout/roll-back')).status).toBe(200);
  });

  it('keeps a header at its version through every protocol, and tells who only asks about the model of the baseline', async () => {
    const { address, models, server } = await serverOfOne();
    await addVersion(models, 2);
    await begun(address, { candidate: 2, weight: 0.5, sticky: { header: 'X-User-Id' } });
    const users = ['anna', 'bert', 'carl', 'dora', 'emil', 'fred'];
    const byUser = new Map(users.map((user) => [user, placeOf('m', 2, user) < 0.5 ? 2 : 1]));
    expect(new Set(byUser.values())).toEqual(new Set([1, 2]));
    const grpcAddress = server.addresses.find((each) => !each.startsWith('http'))!;
    const v2 = grpcClient(grpcAddress, 'inference.proto', 'inference.GRPCInferenceService');
    const serving = grpcClient(grpcAddress, 'tensorflow_serving.proto', 'tensorflow.serving.PredictionService');
    for (const [user, version] of byUser) {
      const headers = { 'x-user-id': user };
      const metadata = headers;
      expect(await answering(address, headers)).toBe(version);
      const input = { name: 'x', datatype: 'FP32', shape: [1] };
      expect(
        await v2.call('ModelInfer', { model_name: 'm', inputs: [{ ...input, contents: { fp32_contents: [1] } }] }, { metadata }),
      ).toMatchObject({ model_version: String(version) });
      const tensor = { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: 1 }] }, float_val: [1] };
      expect(await serving.call('Predict', { model_spec: { name: 'm' }, inputs: { x: tensor } }, { metadata })).toMatchObject({
        model_spec: { version: { value: String(version) } },
      });
      for (const path of ['/v1/models/m:predict', '/invocations']) {
        const sent = await fetch(`${address}${path}`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: '{"instances":[1]}',
        });
        expect(sent.status, path).toBe(200);
      }
    }
    const candidates = [...byUser.values()].filter((version) => version === 2).length;
    const counts = { candidateRequests: 5 * candidates, baselineRequests: 5 * (users.length - candidates), unavailable: 0 };
    expect((await described(address)).counts).toMatchObject(counts);
    await begun(address, { candidate: 2, weight: 1 });
    expect(await (await fetch(`${address}/v1/models/m/metadata`)).json()).toMatchObject({ model_spec: { version: '1' } });
    expect((await described(address)).counts).toMatchObject(counts);
  });

  it('does not blame the candidate where neither version can answer, and keeps shadow answers out of the cache', async () => {
    const { address, models } = await serverOfOne({ responseCache: { maxBytes: 1_000_000 } });
    await addVersion(models, 2);
    await begun(address, { candidate: 2, weight: 0, shadow: 1 });
    await answers(address, 2);
    await vi.waitFor(async () => expect((await described(address)).counts).toMatchObject({ shadowRequests: 2, disagreements: 0 }), SOON);
    // One answer, that of the baseline, which the second request found.
    expect(await (await fetch(`${address}/metrics`)).text()).toContain('slipway_response_cache_entries 1\n');
    await begun(address, { candidate: 2, weight: 1 });
    await post(address, '/models/m/unload');
    expect(await failureOf(await post(address, '/predict', '{"model":"m","inputs":[1]}'))).toMatchObject({ code: 'MODEL_UNLOADED' });
    expect((await described(address)).counts).toMatchObject({ unavailable: 0, candidateRequests: 0 });
  });

  it('does not begin with a candidate that cannot be loaded, or whose inputs have other names', async () => {
    const { address, models } = await serverOfOne();
    await cp(join(import.meta.dirname, '../fixtures/models/multi/1'), join(models, 'm/2'), { recursive: true });
    await cp(join(import.meta.dirname, '../fixtures/models/broken-onnx/1'), join(models, 'm/3'), { recursive: true });
    expect(await failureOf(await put(address, { candidate: 2, weight: 1 }))).toMatchObject({
      status: 400,
      code: 'INPUT_MISMATCH',
      message: /^Version 2 can't take the requests of version 1: /,
    });
    expect(await failureOf(await put(address, { candidate: 3, weight: 1 }))).toMatchObject({ status: 409, code: 'MODEL_FAILED' });
    await cp(join(import.meta.dirname, '../fixtures/models/fixed/1'), join(models, 'm/4'), { recursive: true });
    expect(await failureOf(await put(address, { candidate: 4, weight: 1 }))).toMatchObject({ code: 'INPUT_MISMATCH' });
    expect(await answers(address, 2)).toEqual({ 1: 2 });
    expect(await (await fetch(`${address}/models/m/versions/3/lineage`)).json()).toMatchObject({
      rollouts: [{ decision: 'rolled_back', by: 'server', candidate: 3 }],
    });
  });

  it('outlives a restart with its counts', async () => {
    const first = await serverOfOne();
    await addVersion(first.models, 2);
    await begun(first.address, { candidate: 2, weight: 1 });
    await answers(first.address, 5);
    await first.server.stop();
    const { address } = await runningServer([], { models: first.models, state: first.state });
    expect(await described(address)).toMatchObject({ rollout: { candidate: 2 }, counts: { candidateRequests: 5 } });
    expect(await answers(address, 2)).toEqual({ 2: 2 });
  });

  it('refuses what makes no sense, with the reason', async () => {
    const { address, models } = await serverOfOne();
    await addVersion(models, 2);
    await addVersion(models, 3);
    const refusal = async (body: object) => failureOf(await put(address, body));
    expect(await refusal({ candidate: 9 })).toMatchObject({ status: 404, code: 'VERSION_NOT_FOUND' });
    expect(await refusal({ candidate: 2, label: 'nothing' })).toMatchObject({ status: 404, code: 'LABEL_NOT_FOUND' });
    expect(await refusal({ candidate: 2, baseline: 2 })).toMatchObject({ status: 400, message: /compared with itself/ });
    expect(await refusal({ candidate: 1 })).toMatchObject({ status: 400, message: /no version to compare version 1 with/ });
    expect(await refusal({ candidate: 2, weight: 1.5 })).toMatchObject({ status: 400, code: 'INVALID_REQUEST' });
    expect(await refusal({})).toMatchObject({ status: 400 });
    expect(await failureOf(await post(address, '/models/m/rollout/promote'))).toMatchObject({ status: 404, code: 'ROLLOUT_NOT_FOUND' });
    expect(await failureOf(await post(address, '/models/x/rollout/promote'))).toMatchObject({ status: 404, code: 'MODEL_NOT_FOUND' });
    await begun(address, { candidate: 2 });
    expect(await refusal({ candidate: 3 })).toMatchObject({ status: 409, code: 'MODEL_BUSY' });
    expect(await refusal({ candidate: 2, label: 'stable' })).toMatchObject({ status: 409, code: 'MODEL_BUSY' });
    for (const version of [1, 2]) {
      expect(await failureOf(await fetch(`${address}/models/m/versions/${version}`, { method: 'DELETE' }))).toMatchObject({
        status: 409,
        message: /has a rollout of version 2 beside version 1/,
      });
    }
    expect((await fetch(`${address}/models/m/versions/3`, { method: 'DELETE' })).status).toBe(204);
  });
});
