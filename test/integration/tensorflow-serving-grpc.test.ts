import { status } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type GrpcClient, grpcClient, type Message } from '../helpers/grpc.ts';
import { runningServer } from '../helpers/running-server.ts';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

async function serving(
  names: readonly string[],
  settings?: Parameters<typeof runningServer>[1],
): Promise<Record<'predict' | 'model', GrpcClient>> {
  const { server } = await runningServer(names, settings);
  const address = server.addresses.find((each) => !each.startsWith('http'))!;
  const client = (service: string): GrpcClient => grpcClient(address, 'tensorflow_serving.proto', `tensorflow.serving.${service}`);
  return { predict: client('PredictionService'), model: client('ModelService') };
}

function shapeOf(...sizes: number[]): Message {
  return { dim: sizes.map((size) => ({ size })) };
}

function timesThree(tensor: Message, more: Message = {}): Message {
  return { model_spec: { name: 'times-three', ...more }, inputs: { x: { dtype: 'DT_FLOAT', ...tensor } } };
}

/** One element of each dtype that is not the default, in its typed form, for the model that gives back what it gets. */
const TYPED: Readonly<Record<string, Message>> = {
  fp32: { dtype: 'DT_FLOAT', float_val: [1.5, -2] },
  fp64: { dtype: 'DT_DOUBLE', double_val: [1e300, -0.1] },
  fp16: { dtype: 'DT_HALF', half_val: [0x3e00, 0xc000] },
  int8: { dtype: 'DT_INT8', int_val: [-128, 127] },
  int16: { dtype: 'DT_INT16', int_val: [-32_768, 32_767] },
  int32: { dtype: 'DT_INT32', int_val: [-2_147_483_648, 2_147_483_647] },
  int64: { dtype: 'DT_INT64', int64_val: ['-9223372036854775808', '9007199254740993'] },
  uint8: { dtype: 'DT_UINT8', int_val: [0, 255] },
  uint16: { dtype: 'DT_UINT16', int_val: [0, 65_535] },
  uint32: { dtype: 'DT_UINT32', uint32_val: [0, 4_294_967_295] },
  uint64: { dtype: 'DT_UINT64', uint64_val: ['0', '18446744073709551615'] },
  bool: { dtype: 'DT_BOOL', bool_val: [true, false] },
  bytes: { dtype: 'DT_STRING', string_val: [Buffer.from('Grüße'), Buffer.from('')] },
};

const DIGITS = Array.from({ length: 10 }, (_digit, index) => String(index));

describe('tensorflow.serving.PredictionService', () => {
  it('predicts from both encodings of a tensor and answers with typed values', async () => {
    const { predict } = await serving(['times-three']);
    const typed = await predict.call('Predict', timesThree({ tensor_shape: shapeOf(3), float_val: [1, 2.5, -3] }));
    expect(typed).toMatchObject({
      model_spec: { name: 'times-three', version: { value: '1' }, signature_name: 'serving_default' },
      outputs: { y: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: '3' }] }, float_val: [3, 7.5, -9] } },
    });
    const content = Buffer.from(Float32Array.of(1, 2.5, -3).buffer);
    expect(await predict.call('Predict', timesThree({ tensor_shape: shapeOf(3), tensor_content: content }))).toEqual(typed);
  });

  it('repeats the last value to the end of the shape, as TensorFlow leaves it out', async () => {
    const { predict } = await serving(['times-three']);
    for (const [values, expected] of [
      [[2], [6, 6, 6]],
      [
        [1, 2],
        [3, 6, 6],
      ],
      [[], [0, 0, 0]],
    ]) {
      const answer = await predict.call('Predict', timesThree({ tensor_shape: shapeOf(3), float_val: values }));
      expect(answer['outputs']).toMatchObject({ y: { float_val: expected } });
    }
  });

  it('carries every dtype without loss', async () => {
    const { predict } = await serving(['dtypes']);
    const inputs = Object.fromEntries(Object.entries(TYPED).map(([name, tensor]) => [name, { ...tensor, tensor_shape: shapeOf(2) }]));
    const { outputs } = await predict.call('Predict', { model_spec: { name: 'dtypes' }, inputs });
    for (const [name, tensor] of Object.entries(TYPED)) {
      expect((outputs as Record<string, Message>)[`${name}_out`], name).toMatchObject({
        ...tensor,
        tensor_shape: { dim: [{ size: '2' }] },
      });
    }
  });

  it('reads texts from tensor_content: the lengths of all, then the bytes of all', async () => {
    const { predict } = await serving(['dtypes']);
    const inputs = Object.fromEntries(Object.entries(TYPED).map(([name, tensor]) => [name, { ...tensor, tensor_shape: shapeOf(2) }]));
    Object.assign(inputs, { bytes: { dtype: 'DT_STRING', tensor_shape: shapeOf(2), tensor_content: Buffer.from('\u0002\u0000hi') } });
    const request = { model_spec: { name: 'dtypes' }, inputs, output_filter: ['bytes_out'] };
    const { outputs } = await predict.call('Predict', request);
    expect(outputs).toMatchObject({ bytes_out: { string_val: [Buffer.from('hi'), Buffer.from('')] } });
    expect(Object.keys(outputs as object)).toEqual(['bytes_out']);
  });

  it('answers each kind of bad request with its status and the code of the catalogue', async () => {
    const { predict } = await serving(['times-three'], { limits: { maxBodyBytes: 100_000 } });
    const good = { tensor_shape: shapeOf(1), float_val: [1] };
    const cases: [Message, number, string][] = [
      [{ inputs: {} }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [timesThree(good, { name: 'nothing' }), status.NOT_FOUND, 'MODEL_NOT_FOUND'],
      [timesThree(good, { version: { value: 9 } }), status.NOT_FOUND, 'VERSION_NOT_FOUND'],
      [timesThree(good, { version: { value: -1 } }), status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
      [timesThree(good, { version_label: 'stable' }), status.NOT_FOUND, 'LABEL_NOT_FOUND'],
      [timesThree(good, { signature_name: 'other' }), status.FAILED_PRECONDITION, 'SIGNATURE_NOT_FOUND'],
      [{ ...timesThree(good), output_filter: ['z'] }, status.INVALID_ARGUMENT, 'OUTPUT_NOT_FOUND'],
      [{ ...timesThree(good), inputs: {} }, status.INVALID_ARGUMENT, 'INPUT_MISMATCH'],
      [timesThree({ ...good, dtype: 'DT_INT32' }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [timesThree({ ...good, dtype: 'DT_INVALID' }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [timesThree({ ...good, float_val: [1, 2] }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [timesThree({ ...good, tensor_shape: shapeOf(-1) }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [timesThree({ ...good, tensor_shape: { unknown_rank: true } }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [timesThree({ tensor_shape: shapeOf(3), tensor_content: Buffer.alloc(8) }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      // A few bytes that ask for a gigabyte.
      [timesThree({ ...good, tensor_shape: shapeOf(250_000_000) }), status.INVALID_ARGUMENT, 'INVALID_TENSOR'],
      [
        timesThree({ ...good, tensor_shape: { dim: [{ size: '4611686018427387904' }, { size: 4 }] } }),
        status.INVALID_ARGUMENT,
        'INVALID_TENSOR',
      ],
    ];
    for (const [request, expected, code] of cases) {
      const error = await predict.call('Predict', request).then(
        () => undefined,
        (failure: unknown) => failure as { code: number; details: string; metadata: { get(name: string): string[] } },
      );
      expect({ code: error?.code, slipway: error?.metadata.get('slipway-error-code')[0] }, JSON.stringify(request)).toEqual({
        code: expected,
        slipway: code,
      });
      expect(error?.details).toMatch(/\w/);
    }
    await expect(predict.call('MultiInference', {})).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  it('classifies examples, with their shared context', async () => {
    const { predict } = await serving(['digits']);
    const image = { float_list: { value: Array.from({ length: 784 }, () => 0.5) } };
    const examples = [{ features: {} }, { features: { feature: { image } } }];
    const input = { example_list_with_context: { examples, context: { features: { feature: { image } } } } };
    const { result, model_spec } = await predict.call('Classify', { model_spec: { name: 'digits' }, input });
    expect(model_spec).toMatchObject({ name: 'digits', version: { value: '1' } });
    const { classifications } = result as { classifications: { classes: { label: string; score: number }[] }[] };
    expect(classifications.map(({ classes }) => classes.map(({ label }) => label))).toEqual([DIGITS, DIGITS]);
    for (const { classes } of classifications) expect(classes.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 5);
    const wrong = { example_list: { examples: [{ features: { feature: { image: { int64_list: { value: [1] } } } } }] } };
    await expect(predict.call('Classify', { model_spec: { name: 'digits' }, input: wrong })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('int64_list'),
    });
    await expect(predict.call('Classify', { model_spec: { name: 'digits' } })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('regresses examples', async () => {
    const { predict } = await serving(['times-three']);
    const examples = [1, 2.5].map((value) => ({ features: { feature: { x: { float_list: { value: [value] } } } } }));
    // The model takes [n]: one value for each example.
    const answer = await predict.call('Regress', { model_spec: { name: 'times-three' }, input: { example_list: { examples } } });
    expect(answer['result']).toEqual({ regressions: [{ value: 3 }, { value: 7.5 }] });
  });

  it('describes the signature of a model', async () => {
    const { predict } = await serving(['times-three']);
    const request = { model_spec: { name: 'times-three' }, metadata_field: ['signature_def'] };
    const { metadata, model_spec } = await predict.call('GetModelMetadata', request);
    expect(model_spec).toMatchObject({ name: 'times-three', version: { value: '1' } });
    const { type_url, value } = (metadata as Record<string, { type_url: string; value: Buffer }>)['signature_def']!;
    expect(type_url).toBe('type.googleapis.com/tensorflow.serving.SignatureDefMap');
    const definition = loadSync('tensorflow_serving.proto', { keepCase: true, longs: String, enums: String, includeDirs: [PROTO_FOLDER] });
    const map = definition['tensorflow.serving.SignatureDefMap'] as MessageTypeDefinition<object, object>;
    expect(map.deserialize(value)).toMatchObject({
      signature_def: {
        serving_default: {
          inputs: { x: { name: 'x:0', dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: '-1' }] } } },
          outputs: { y: { dtype: 'DT_FLOAT' } },
          method_name: 'tensorflow/serving/predict',
        },
      },
    });
    for (const fields of [[], ['other']]) {
      await expect(predict.call('GetModelMetadata', { ...request, metadata_field: fields })).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
      });
    }
  });
});

describe('tensorflow.serving.ModelService', () => {
  it('tells the states of versions', async () => {
    const { model } = await serving(['times-three', 'broken-onnx']);
    expect(await model.call('GetModelStatus', { model_spec: { name: 'times-three' } })).toMatchObject({
      model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 0, error_message: '' } }],
    });
    const { model_version_status: broken } = await model.call('GetModelStatus', { model_spec: { name: 'broken-onnx' } });
    expect(broken).toMatchObject([
      { version: '1', state: 'END', status: { error_code: 2, error_message: expect.stringContaining('model.onnx') } },
    ]);
    await expect(model.call('GetModelStatus', { model_spec: { name: 'nothing' } })).rejects.toMatchObject({ code: status.NOT_FOUND });
    await expect(model.call('HandleReloadConfigRequest', {})).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });
});
