import { describe, expect, it, vi } from 'vitest';
import { grpcClient } from '../helpers/grpc.ts';
import { failureOf } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';

// A busy machine may take long to start a process.
vi.setConfig({ testTimeout: 60_000 });

const MODEL = 'times-three';
/** More than is sent to a runner ahead of time. */
const GREEDY_REQUESTS = 40;

async function post(address: string, path: string, key: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key, ...headers },
    body: JSON.stringify(body),
  });
}

async function expectOk(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  expect(await response.text()).toContain('3');
  expect(response.status).toBe(200);
}

type Send = (key: string) => Promise<unknown>;

function protocols(address: string, grpcAddress: string): Record<string, Send> {
  const kserve = grpcClient(grpcAddress, 'inference.proto', 'inference.GRPCInferenceService');
  const tensorflow = grpcClient(grpcAddress, 'tensorflow_serving.proto', 'tensorflow.serving.PredictionService');
  const tensor = { name: 'x', datatype: 'FP32', shape: [1] };
  return {
    native: (key) => expectOk(post(address, '/predict', key, { model: MODEL, inputs: [1] })),
    'V2 REST': (key) => expectOk(post(address, `/v2/models/${MODEL}/infer`, key, { inputs: [{ ...tensor, data: [1] }] })),
    'TensorFlow Serving REST': (key) => expectOk(post(address, `/v1/models/${MODEL}:predict`, key, { instances: [1] })),
    SageMaker: (key) => expectOk(post(address, '/invocations', key, { instances: [1] }, { 'x-amzn-sagemaker-target-model': MODEL })),
    'V2 gRPC': (key) =>
      kserve.call(
        'ModelInfer',
        { model_name: MODEL, inputs: [{ ...tensor, contents: { fp32_contents: [1] } }] },
        { metadata: { 'x-api-key': key } },
      ),
    'TensorFlow Serving gRPC': (key) =>
      tensorflow.call(
        'Predict',
        {
          model_spec: { name: MODEL },
          inputs: { x: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: 1 }] }, float_val: [1] } },
        },
        { metadata: { 'x-api-key': key } },
      ),
  };
}

describe('turns among clients', () => {
  it('let a client with one request pass one with many, in every protocol', async () => {
    const { server, address } = await runningServer([MODEL], {
      clients: { identifiedBy: 'header' },
      scheduler: { maxBatchSize: 1 },
    });
    const { status } = server.registry.find({ model: MODEL })!.runner;
    const pid = status.state === 'ready' ? status.info.pid : Number.NaN;
    const queued = async (): Promise<number> => {
      const response = await fetch(`${address}/models/${MODEL}/scheduler`);
      const { versions } = (await response.json()) as { versions: { queue: { depth: number; inFlight: number } }[] };
      return versions[0]!.queue.depth + versions[0]!.queue.inFlight;
    };
    const untilQueued = (count: number): Promise<void> => vi.waitFor(async () => expect(await queued()).toBe(count), 20_000);
    const sends = protocols(address, server.addresses.at(-1)!);
    for (const [protocol, send] of Object.entries(sends)) {
      const ended: string[] = [];
      const follow = async (name: string, answer: Promise<unknown>): Promise<void> => {
        await answer;
        ended.push(name);
      };
      // Nothing moves until everything waits.
      process.kill(pid, 'SIGSTOP');
      const answers: Promise<void>[] = [];
      try {
        for (let sent = 0; sent < GREEDY_REQUESTS; sent += 1) answers.push(follow('greedy', sends['native']!('greedy')));
        await untilQueued(GREEDY_REQUESTS);
        answers.push(follow('greedy, last', send('greedy')));
        await untilQueued(GREEDY_REQUESTS + 1);
        answers.push(follow('modest', send('modest')));
        await untilQueued(GREEDY_REQUESTS + 2);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await Promise.all(answers);
      expect(ended.indexOf('modest'), protocol).toBeLessThan(GREEDY_REQUESTS - 10);
      expect(ended.indexOf('greedy, last'), protocol).toBeGreaterThan(GREEDY_REQUESTS - 10);
    }
  });
});

describe('the time that a client has', () => {
  it('can be said in a header, in every protocol over HTTP', async () => {
    const { address } = await runningServer([MODEL]);
    const ask = (timeout: string, name = 'x-request-timeout-ms'): Promise<Response> =>
      fetch(`${address}/models/${MODEL}/predict`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', [name]: timeout },
        body: '{"inputs":[1]}',
      });
    expect((await ask('20000')).status).toBe(200);
    expect(await failureOf(await ask('0.000001'))).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
    expect(await failureOf(await ask('0.000001', 'x-envoy-expected-rq-timeout-ms'))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await ask('0', 'x-envoy-expected-rq-timeout-ms')).status).toBe(200);
    for (const wrong of ['0', '-1', 'soon', '']) {
      expect(await failureOf(await ask(wrong))).toMatchObject({ status: 400, code: 'INVALID_REQUEST' });
    }
    for (const [path, body] of [
      [`/v2/models/${MODEL}/infer`, { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }],
      [`/v1/models/${MODEL}:predict`, { instances: [1] }],
      ['/invocations', { instances: [1] }],
    ] as const) {
      const response = await post(address, path, 'k', body, { 'x-request-timeout-ms': '0.000001' });
      expect([503, 504], path).toContain(response.status);
    }
  });
});
