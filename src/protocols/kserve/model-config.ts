import type { ModelDescription, VersionDescription } from '../../registry/types.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { TensorSpec } from '../../tensor/signature.ts';
import type { ModelFormat } from '../../packages/formats.ts';

/** What clients know a format as: `<project>_<format>`, as the protocol asks; the first is what Triton says. */
const PLATFORMS = {
  onnx: 'onnxruntime_onnx',
  'tfjs-layers': 'tfjs_layersmodel',
  'tfjs-graph': 'tfjs_graphmodel',
  'saved-model': 'tensorflow_savedmodel',
  keras: 'keras_v3',
  safetensors: 'safetensors_layersmodel',
} as const satisfies Record<ModelFormat, string>;

const MODEL_FILES = {
  onnx: 'model.onnx',
  'tfjs-layers': 'model.json',
  'tfjs-graph': 'model.json',
  'saved-model': 'saved_model.pb',
  keras: 'model.keras',
  safetensors: 'model.safetensors',
} as const satisfies Record<ModelFormat, string>;

export function platformOf(format: ModelFormat | undefined): string {
  return format === undefined ? '' : PLATFORMS[format];
}

/** A shape of any rank cannot be said in V2; one open dimension comes closest. */
export function wireShape({ shape }: TensorSpec): readonly number[] {
  return shape ?? [-1];
}

/** A dtype as an element of the enum `DataType` of the model configuration. */
function dataTypeName(dtype: DType): string {
  return dtype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${dtype}`;
}

function versionPolicy({ versionPolicy: policy }: ModelDescription): object {
  if (policy === 'all') return { all: {} };
  return 'latest' in policy ? { latest: { num_versions: policy.latest } } : { specific: { versions: policy.versions } };
}

/**
 * A version as the model configuration extension of Triton describes it: for JSON as it is, and for gRPC the message
 * `ModelConfig`. `max_batch_size` is 0, which says that the dims are whole shapes; a batch dimension is one of them.
 */
export function encodeModelConfig(model: ModelDescription, { format, signature, loaded }: VersionDescription): object {
  const tensor = (spec: TensorSpec): object => ({ name: spec.name, data_type: dataTypeName(spec.dtype), dims: wireShape(spec) });
  return {
    name: model.name,
    platform: platformOf(format),
    backend: loaded?.engine ?? '',
    version_policy: versionPolicy(model),
    max_batch_size: 0,
    input: signature?.inputs.map(tensor) ?? [],
    output: signature?.outputs.map(tensor) ?? [],
    instance_group: [
      { name: `${model.name}_0`, kind: loaded === undefined || loaded.device === 'cpu' ? 'KIND_CPU' : 'KIND_GPU', count: 1 },
    ],
    default_model_filename: format === undefined ? '' : MODEL_FILES[format],
    parameters: {},
    model_transaction_policy: { decoupled: false },
  };
}
