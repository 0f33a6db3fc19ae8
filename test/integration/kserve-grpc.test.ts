import { createRequire } from 'node:module';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { protoPath as healthProto } from 'grpc-health-check';
import { describe, expect, it } from 'vitest';
import { type GrpcClient, grpcClient, type Message } from '../helpers/grpc.ts';
import { runningServer, type RunningServer } from '../helpers/running-server.ts';

const reflectionProto = join(createRequire(import.meta.url).resolve('@grpc/reflection'), '../../proto/grpc/reflection/v1/reflection.proto');

const SERVICE = 'inference.GRPCInferenceService';

function grpcAddressOf({ server }: RunningServer): string {
  return server.addresses.find((address) => !address.startsWith('http'))!;
}

async function serving(names: readonly string[], settings?: Parameters<typeof runningServer>[1]): Promise<GrpcClient> {
  return grpcClient(grpcAddressOf(await runningServer(names, settings)), 'inference.proto', SERVICE);
}

function floats(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

function timesThree(values: number[], more: Message = {}): Message {
  return {
    model_name: 'times-three',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [values.length] }],
    raw_input_contents: [floats(...values)],
    ...more,
  };
}

describe('inference.GRPCInferenceService', () => {
  it('infers from raw and from typed contents, and answers raw', async () => {
    const client = await serving(['times-three']);
    const raw = await client.call('ModelInfer', timesThree([1, 2.5, -3], { id: '7' }));
    expect(raw).toMatchObject({
      model_name: 'times-three',
      model_version: '1',
      id: '7',
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['3'] }],
      raw_output_contents: [floats(3, 7.5, -9)],
    });
    const typed = await client.call('ModelInfer', {
      model_name: 'times-three',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [3], contents: { fp32_contents: [1, 2.5, -3] } }],
    });
    expect(typed['raw_output_contents']).toEqual(raw['raw_output_contents']);
  });

  it('answers each kind of bad request with its status and the code of the catalogue', async () => {
    const client = await serving(['times-three', 'multi']);
    const input = { name: 'x', datatype: 'FP32', shape: [3], contents: { fp32_contents: [1, 2, 3] } };
    const cases: [Message, number, string][] = [
      [{ ...timesThree([1]), model_name: 'nothing' }, status.NOT_FOUND, 'MODEL_NOT_FOUND'],
      [{ ...timesThree([1]), model_version: '9' }, status.NOT_FOUND, 'VERSION_NOT_FOUND'],
      [{ ...timesThree([1]), model_version: 'one' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [{ model_name: '' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [{ model_name: 'times-three' }, status.INVALID_ARGUMENT, 'INPUT_MISMATCH'],
      [{ ...timesThree([1]), inputs: [input] }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [{ ...timesThree([1]), raw_input_contents: [floats(1, 2)] }, status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [{ ...timesThree([1]), raw_input_contents: [floats(1), floats(1)] }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [{ model_name: 'times-three', inputs: [input, input] }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [{ model_name: 'times-three', inputs: [{ ...input, shape: [-1] }] }, status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [{ model_name: 'times-three', inputs: [{ ...input, shape: ['4611686018427387904', 4] }] }, status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [{ model_name: 'times-three', inputs: [{ ...input, shape: [2] }] }, status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [{ model_name: 'times-three', inputs: [{ ...input, datatype: 'FP31' }] }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [{ model_name: 'times-three', inputs: [input], outputs: [{ name: 'z' }] }, status.INVALID_ARGUMENT, 'OUTPUT_NOT_FOUND'],
      [
        { model_name: 'times-three', inputs: [{ ...input, contents: { int_contents: [1, 2, 3] } }] },
        status.INVALID_ARGUMENT,
        'INVALID_TENSOR',
      ],
    ];
    for (const [request, expected, code] of cases) {
      const error = await client.call('ModelInfer', request).then(
        () => undefined,
        (failure: unknown) => failure as { code: number; details: string; metadata: { get(name: string): string[] } },
      );
      expect({ code: error?.code, slipway: error?.metadata.get('slipway-error-code')[0] }, JSON.stringify(request)).toEqual({
        code: expected,
        slipway: code,
      });
      expect(error?.details).toMatch(/\w/);
    }
  });

  it('answers a stream in its order, errors inside it, and goes on', async () => {
    const client = await serving(['times-three']);
    const requests = Array.from({ length: 100 }, (_request, index) =>
      timesThree([index], { id: String(index), ...(index === 10 && { model_name: 'nothing' }) }),
    );
    const answers = await client.stream('ModelStreamInfer', requests);
    expect(answers.map(({ infer_response: answer }) => (answer as Message)['id'])).toEqual(requests.map(({ id }) => id));
    expect(answers[10]!['error_message']).toContain('nothing');
    for (const [index, { infer_response: answer, error_message: problem }] of answers.entries()) {
      if (index === 10) continue;
      expect(problem).toBe('');
      expect(answer).toMatchObject({
        raw_output_contents: [floats(index * 3)],
        parameters: { triton_final_response: { bool_param: true } },
      });
    }
  });

  it('loads and unloads models, and tells what they did', async () => {
    const client = await serving(['times-three', 'multi']);
    await client.call('ModelInfer', timesThree([1]));
    const { model_stats: statistics } = await client.call('ModelStatistics', { name: 'times-three' });
    expect(statistics).toMatchObject([{ name: 'times-three', version: '1', inference_stats: { success: { count: '1' } } }]);
    expect(await client.call('RepositoryIndex', {})).toEqual({
      models: [
        { name: 'multi', version: '1', state: 'READY', reason: '' },
        { name: 'times-three', version: '1', state: 'READY', reason: '' },
      ],
    });
    await client.call('RepositoryModelUnload', { model_name: 'multi' });
    expect(await client.call('ModelReady', { name: 'multi' })).toEqual({ ready: false });
    await client.call('RepositoryModelLoad', { model_name: 'multi' });
    expect(await client.call('ModelReady', { name: 'multi' })).toEqual({ ready: true });
    await expect(client.call('RepositoryModelLoad', { model_name: 'nothing' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    await expect(client.call('SystemSharedMemoryStatus', {})).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  it('refuses a message that is larger than bodies may be', async () => {
    const client = await serving(['times-three'], { limits: { maxBodyBytes: 10_000 } });
    await expect(client.call('ModelInfer', timesThree(Array.from({ length: 3_000 }, () => 1)))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect(await client.call('ModelInfer', timesThree([1]))).toMatchObject({ model_name: 'times-three' });
  });

  it('says by grpc.health.v1 whether the server takes work, and describes itself by reflection', async () => {
    const running = await runningServer(['times-three'], { shutdown: { unreadyMs: 500 } });
    const address = grpcAddressOf(running);
    const health = grpcClient(address, healthProto, 'grpc.health.v1.Health');
    for (const service of ['', SERVICE]) expect(await health.call('Check', { service })).toEqual({ status: 'SERVING' });
    await expect(health.call('Check', { service: 'nothing' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    const reflection = grpcClient(address, reflectionProto, 'grpc.reflection.v1.ServerReflection');
    const [listed] = await reflection.stream('ServerReflectionInfo', [{ list_services: '' }]);
    const { service: services } = listed!['list_services_response'] as { service: { name: string }[] };
    expect(services.map(({ name }) => name)).toEqual(expect.arrayContaining([SERVICE, 'grpc.health.v1.Health']));
    const stopped = running.server.stop();
    expect(await health.call('Check', { service: '' })).toEqual({ status: 'NOT_SERVING' });
    await stopped;
  });
});
