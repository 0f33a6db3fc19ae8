/** One weight of a TF.js model: its entry in the manifest and its bytes on disk. */
export interface TfjsWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
  readonly quantization?: { readonly dtype: 'uint8' | 'uint16' | 'float16'; readonly scale?: number; readonly min?: number };
  readonly data: Float32Array | Int32Array | Uint8Array | Uint16Array;
}

/** The files of a model folder, by name. */
export type ModelFiles = Readonly<Record<string, string | Uint8Array>>;

function bytesOf(weights: readonly TfjsWeight[]): Uint8Array {
  return Buffer.concat(weights.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
}

interface TfjsFilesOptions {
  readonly format: 'layers-model' | 'graph-model';
  readonly modelTopology: object;
  readonly weights: readonly TfjsWeight[];
  readonly signature?: object;
  /** How many shards the weights are cut into; 1 by default. */
  readonly shards?: number;
}

/** `model.json` and the weight shards. */
export function tfjsFiles({ format, modelTopology, weights, signature, shards = 1 }: TfjsFilesOptions): ModelFiles {
  const bytes = bytesOf(weights);
  const shardBytes = Math.ceil(bytes.length / shards);
  const paths = Array.from({ length: shards }, (_, index) => `group1-shard${index + 1}of${shards}.bin`);
  const manifest = weights.map(({ data: _data, ...entry }) => entry);
  const json = {
    format,
    generatedBy: 'slipway-fixtures',
    ...(signature && { signature }),
    modelTopology,
    weightsManifest: [{ paths, weights: manifest }],
  };
  const files: Record<string, string | Uint8Array> = { 'model.json': `${JSON.stringify(json, null, 2)}\n` };
  for (const [index, path] of paths.entries()) files[path] = bytes.subarray(index * shardBytes, (index + 1) * shardBytes);
  return files;
}

/** A dense layer without a bias, as Keras writes it. */
export function denseLayer(name: string, units: number, config: object = {}): object {
  return {
    class_name: 'Dense',
    config: {
      name,
      units,
      activation: 'linear',
      use_bias: false,
      kernel_initializer: { class_name: 'VarianceScaling', config: { scale: 1, mode: 'fan_avg', distribution: 'normal', seed: null } },
      ...config,
    },
  };
}

/** Topology of a Keras Sequential model. */
export function sequentialTopology(layers: readonly object[]): object {
  return {
    keras_version: '2.15.0',
    backend: 'tensorflow',
    model_config: { class_name: 'Sequential', config: { name: 'sequential', layers } },
  };
}

/** A placeholder, constant or operator of a graph model. */
export function graphNode(name: string, op: string, input: readonly string[] = [], attr: object = {}): object {
  return { name, op, input: [...input], attr };
}

/** The shape of a TensorFlow proto in JSON; -1 is open. */
function protoShape(shape: readonly number[]): object {
  return { dim: shape.map((size) => ({ size: String(size) })) };
}

export function placeholder(name: string, type: string, shape: readonly number[]): object {
  return graphNode(name, 'Placeholder', [], { dtype: { type }, shape: { shape: protoShape(shape) } });
}

/** One entry of a signature's inputs or outputs. */
export function tensorInfo(name: string, dtype: string, shape: readonly number[]): object {
  return { name, dtype, tensorShape: protoShape(shape) };
}

/** A GraphDef in JSON. */
export function graphTopology(nodes: readonly object[], library?: object): object {
  return { node: nodes, ...(library && { library }), versions: { producer: 1 } };
}
