import type { StoredWeight } from '../../src/packages/tfjs/decode-weights.ts';
import type { PublishedModel } from './published.ts';

type Attributes = Readonly<Record<string, unknown>>;

const FLOAT = { type: 'DT_FLOAT' };
const INTS = (...values: number[]): unknown => ({ list: { i: values.map(String) } });
const TEXT = (text: string): unknown => ({ s: Buffer.from(text).toString('base64') });
const shapeOf = (dims: readonly number[]): unknown => ({ dim: dims.map((size) => ({ size: String(size) })) });

/** The layers of the job's LeNet with weights, in their order, as the graph calls them. */
const LAYERS = ['conv1', 'conv2', 'dense1', 'dense2', 'probabilities'];

/** The kernel and bias of each layer by the names of the graph. */
function byGraphName(weights: ReadonlyMap<string, StoredWeight>): ReadonlyMap<string, StoredWeight> {
  const stored = [...weights];
  if (stored.length !== 2 * LAYERS.length) throw new Error(`LeNet has ${2 * LAYERS.length} arrays of weights, not ${stored.length}`);
  return new Map(
    stored.map(([name, weight], index) => [`${LAYERS[Math.floor(index / 2)]!}/${name.slice(name.lastIndexOf('/') + 1)}`, weight]),
  );
}

/** The same network as a TF.js graph model, as the converter writes a SavedModel: a TensorFlow GraphDef in JSON. */
export function encodeGraphModel({ weights: stored }: PublishedModel): Readonly<Record<string, string | Uint8Array>> {
  const weights = byGraphName(stored);
  const nodes: unknown[] = [];
  const specs: { name: string; shape: readonly number[]; dtype: 'float32' | 'int32' }[] = [];
  const data: Uint8Array[] = [];
  const add = (op: string, name: string, input: readonly string[], attr: Attributes = {}): string => {
    nodes.push({ name, op, input, attr: { T: FLOAT, ...attr } });
    return name;
  };
  const constant = (name: string, dtype: 'float32' | 'int32', shape: readonly number[], values: Float32Array | Int32Array): string => {
    const type = dtype === 'float32' ? 'DT_FLOAT' : 'DT_INT32';
    nodes.push({
      name,
      op: 'Const',
      input: [],
      attr: { dtype: { type }, value: { tensor: { dtype: type, tensorShape: shapeOf(shape) } } },
    });
    specs.push({ name, shape, dtype });
    data.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return name;
  };
  const weight = (name: string): string => {
    const { shape, tensor } = weights.get(name)!;
    return constant(name, 'float32', shape, tensor().data as Float32Array);
  };
  const window = { data_format: TEXT('NHWC'), strides: INTS(1, 1, 1, 1) };
  const convolution = (layer: string, input: string, padding: 'SAME' | 'VALID'): string => {
    const product = add('Conv2D', `${layer}/product`, [input, weight(`${layer}/kernel`)], {
      ...window,
      padding: TEXT(padding),
      dilations: INTS(1, 1, 1, 1),
    });
    const sum = add('BiasAdd', layer, [product, weight(`${layer}/bias`)], { data_format: TEXT('NHWC') });
    const activated = add('Relu', `${layer}/relu`, [sum]);
    return add('MaxPool', `${layer}/pool`, [activated], {
      ...window,
      strides: INTS(1, 2, 2, 1),
      ksize: INTS(1, 2, 2, 1),
      padding: TEXT('VALID'),
    });
  };
  const dense = (layer: string, input: string, output: string): string => {
    const product = add('MatMul', `${layer}/product`, [input, weight(`${layer}/kernel`)], {
      transpose_a: { b: false },
      transpose_b: { b: false },
    });
    return add('BiasAdd', output, [product, weight(`${layer}/bias`)], { data_format: TEXT('NHWC') });
  };

  nodes.push({ name: 'image', op: 'Placeholder', input: [], attr: { dtype: FLOAT, shape: { shape: shapeOf([-1, 28, 28, 1]) } } });
  const features = convolution('conv2', convolution('conv1', 'image', 'SAME'), 'VALID');
  const count = constant('flatten/shape', 'int32', [2], Int32Array.of(-1, 400));
  const flat = add('Reshape', 'flatten', [features, count], { Tshape: { type: 'DT_INT32' } });
  const hidden1 = add('Relu', 'dense1/relu', [dense('dense1', flat, 'dense1')]);
  const hidden2 = add('Relu', 'dense2/relu', [dense('dense2', hidden1, 'dense2')]);
  add('Softmax', 'scores', [dense('probabilities', hidden2, 'logits')]);

  const signature = {
    inputs: { image: { name: 'image:0', dtype: 'DT_FLOAT', tensorShape: shapeOf([-1, 28, 28, 1]) } },
    outputs: { probabilities: { name: 'scores:0', dtype: 'DT_FLOAT', tensorShape: shapeOf([-1, 10]) } },
  };
  const json = {
    format: 'graph-model',
    generatedBy: 'slipway',
    signature,
    modelTopology: { node: nodes, library: {}, versions: { producer: 1482 } },
    weightsManifest: [{ paths: ['weights.bin'], weights: specs }],
  };
  return { 'model.json': `${JSON.stringify(json)}\n`, 'weights.bin': Buffer.concat(data) };
}
