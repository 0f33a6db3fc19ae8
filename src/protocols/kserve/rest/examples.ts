/*
 * Answers for the OpenAPI document, of the model `times-three` that triples its input.
 */

const TENSOR = { datatype: 'FP32', shape: [-1] } as const;
const CONFIG_TENSOR = { data_type: 'TYPE_FP32', dims: [-1] } as const;

export const SERVER_METADATA_EXAMPLE = { name: 'slipway', version: '0.1.0', extensions: ['classification', 'binary_tensor_data'] };

export const MODEL_METADATA_EXAMPLE = {
  name: 'times-three',
  versions: ['1'],
  platform: 'onnxruntime_onnx',
  inputs: [{ name: 'x', ...TENSOR }],
  outputs: [{ name: 'y', ...TENSOR }],
};

export const MODEL_CONFIG_EXAMPLE = {
  name: 'times-three',
  platform: 'onnxruntime_onnx',
  backend: 'onnx',
  version_policy: { latest: { num_versions: 1 } },
  max_batch_size: 0,
  input: [{ name: 'x', ...CONFIG_TENSOR }],
  output: [{ name: 'y', ...CONFIG_TENSOR }],
};

const ONCE = { count: 1, ns: 500_000 };
const NEVER = { count: 0, ns: 0 };

export const STATISTICS_EXAMPLE = {
  model_stats: [
    {
      name: 'times-three',
      version: '1',
      last_inference: 1_795_521_600_000,
      inference_count: 1,
      execution_count: 1,
      inference_stats: {
        success: ONCE,
        fail: NEVER,
        queue: ONCE,
        compute_input: ONCE,
        compute_infer: ONCE,
        compute_output: ONCE,
        cache_hit: NEVER,
        cache_miss: NEVER,
      },
      response_stats: {},
      batch_stats: [{ batch_size: 1, compute_input: ONCE, compute_infer: ONCE, compute_output: ONCE }],
      memory_usage: [{ type: 'CPU', id: 0, byte_size: 86_966_272 }],
    },
  ],
};

export const INDEX_EXAMPLE = [{ name: 'times-three', version: '1', state: 'READY', reason: '' }];
