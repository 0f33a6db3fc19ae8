import { inboundNodes, modelTensors } from './inbound-nodes.ts';
import { damaged, type Fields, isFields, type KerasObject, kerasObject, unsupported } from './keras-object.ts';
import { cellWeights, LAYER_RULES, type LayerWeight } from './layer-rules.ts';
import { plainConfig } from './plain-config.ts';

/** A weight and where Keras keeps it. */
export interface PlannedWeight {
  /** As TF.js names it, e.g. `dense/kernel`. */
  readonly name: string;
  /** In model.weights.h5, e.g. `layers/dense/vars/0`. */
  readonly path: string;
}

/** A Keras model in the form of a TF.js layers model. */
export interface ConvertedModel {
  /** The `modelTopology` of a model.json. */
  readonly topology: Fields;
  readonly weights: readonly PlannedWeight[];
}

interface Converted {
  readonly className: string;
  readonly config: Fields;
  /** Names begin with the name of the layer; paths are under its folder. */
  readonly weights: readonly LayerWeight[];
}

const MODELS = new Set(['Sequential', 'Functional']);

const INPUT_DTYPES: Readonly<Record<string, string>> = {
  float16: 'float32',
  bfloat16: 'float32',
  float32: 'float32',
  float64: 'float32',
  int8: 'int32',
  int16: 'int32',
  int32: 'int32',
  int64: 'int32',
  uint8: 'int32',
  uint16: 'int32',
  uint32: 'int32',
  bool: 'bool',
};

/** As Keras makes folders of class names: `Conv2D` is `conv2d`, `BatchNormalization` is `batch_normalization`. */
function snakeCase(className: string): string {
  return className
    .replaceAll(/\W+/g, '')
    .replaceAll(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

/** Gives the folder of each next layer of a list: `dense`, `dense_1`, … in its order, whatever the layers are called. */
function createFolders(): (className: string) => string {
  const taken = new Map<string, number>();
  return (className) => {
    const folder = snakeCase(className);
    const before = taken.get(folder) ?? 0;
    taken.set(folder, before + 1);
    return before === 0 ? folder : `${folder}_${before}`;
  };
}

function nameOf({ className, config }: KerasObject): string {
  const { name } = config;
  if (typeof name !== 'string' || name === '') throw damaged(`a layer of the class ${className} has no name`);
  return name;
}

function listOf(config: Fields, key: string, where: string): readonly unknown[] {
  const value = config[key];
  if (!Array.isArray(value)) throw damaged(`${where} has no list "${key}"`);
  return value as unknown[];
}

function inputLayer(config: Fields, where: string): Converted {
  const { batch_shape: shape, name, dtype = 'float32' } = config;
  if (!Array.isArray(shape)) throw damaged(`${where} has no "batch_shape"`);
  for (const key of ['sparse', 'ragged', 'optional'])
    if (config[key] === true) throw unsupported(`${where} is ${key}; inputs here are whole tensors`);
  const own = typeof dtype === 'string' ? INPUT_DTYPES[dtype] : undefined;
  if (own === undefined)
    throw unsupported(`${where} is of the dtype ${JSON.stringify(dtype)}; TF.js has ${Object.keys(INPUT_DTYPES).join(', ')}`);
  return { className: 'InputLayer', config: { name, batch_input_shape: shape, dtype: own }, weights: [] };
}

/** @param prefix what stands before the names of the weights, with its slash */
function prefixed(weights: readonly LayerWeight[], prefix: string, folder: string): LayerWeight[] {
  return weights.map(({ name, path }) => ({ name: `${prefix}${name}`, path: `${folder}${path}` }));
}

const CELLS = new Set(['SimpleRNNCell', 'GRUCell', 'LSTMCell']);

/** A layer that runs a cell, or a stack of them, over a sequence. */
function rnn(config: Fields, where: string): Converted {
  const cellFields = (value: unknown): { readonly fields: Fields; readonly config: Fields; readonly className: string } => {
    const cell = kerasObject(value, `a cell of ${where}`);
    if (!CELLS.has(cell.className))
      throw unsupported(`${where} has a cell ${cell.className}; there are ${[...CELLS].join(', ')} and stacks of them`);
    const own = plainConfig(cell.config, where);
    return { fields: { class_name: cell.className, config: own }, config: own, className: cell.className };
  };
  const outer = kerasObject(config['cell'], `the cell of ${where}`);
  if (outer.className !== 'StackedRNNCells') {
    const cell = cellFields(config['cell']);
    return { className: 'RNN', config: { ...plainConfig(config, where), cell: cell.fields }, weights: cellWeights(cell.config, 'cell/') };
  }
  const cells = listOf(outer.config, 'cells', where).map(cellFields);
  const folderOf = createFolders();
  return {
    className: 'RNN',
    config: {
      ...plainConfig(config, where),
      cell: { class_name: 'StackedRNNCells', config: { name: outer.config['name'], cells: cells.map(({ fields }) => fields) } },
    },
    weights: cells.flatMap((cell, index) => cellWeights(cell.config, `cell/cells/${folderOf(cell.className)}/`, `RNNCell_${index}/`)),
  };
}

/** One layer forward and the same backward; TF.js puts `forward_` and `backward_` before the layer's name by itself. */
/** A wrapper in both directions doubles what it holds, so wrappers in wrappers would grow without end from a few bytes. */
const WRAPPERS: ReadonlySet<string> = new Set(['Bidirectional', 'TimeDistributed']);

function bidirectional(config: Fields, where: string): Converted {
  const forward = kerasObject(config['layer'], `the layer in ${where}`);
  const backward =
    config['backward_layer'] === undefined ? forward : kerasObject(config['backward_layer'], `the backward layer in ${where}`);
  const told = ({ className, config: own }: KerasObject): string => {
    const { name: _name, go_backwards: _direction, ...rest } = plainConfig(own, where);
    return JSON.stringify([className, rest], (key, value: unknown) => (key === 'shared_object_id' ? undefined : value));
  };
  if (told(forward) !== told(backward))
    throw unsupported(`${where} has a backward layer of its own; TF.js has the same layer both ways alone`);
  if (WRAPPERS.has(forward.className)) throw unsupported(`${where} holds a ${forward.className}, one wrapper inside of another`);
  const name = nameOf(forward).replace(/^forward_/, '');
  const inner = convertLayer({ ...forward, config: { ...forward.config, name } }, where);
  const { layer: _layer, backward_layer: _backward, ...rest } = plainConfig(config, where);
  return {
    className: 'Bidirectional',
    config: { ...rest, layer: { class_name: inner.className, config: inner.config } },
    weights: ['forward', 'backward'].flatMap((way) => prefixed(inner.weights, `${way}_${name}/`, `${way}_layer/`)),
  };
}

function timeDistributed(config: Fields, where: string): Converted {
  const held = kerasObject(config['layer'], `the layer in ${where}`);
  if (held.className === 'TimeDistributed') throw unsupported(`${where} holds a TimeDistributed, one wrapper inside of another`);
  const inner = convertLayer(held, where);
  const { layer: _layer, ...rest } = plainConfig(config, where);
  return {
    className: 'TimeDistributed',
    config: { ...rest, layer: { class_name: inner.className, config: inner.config } },
    weights: prefixed(inner.weights, '', 'layer/'),
  };
}

const OTHERS: Readonly<Record<string, (config: Fields, where: string) => Converted>> = {
  InputLayer: inputLayer,
  RNN: rnn,
  Bidirectional: bidirectional,
  TimeDistributed: timeDistributed,
};

function convertLayer({ className, config }: KerasObject, where: string): Converted {
  if (className === 'Lambda')
    throw unsupported(
      `${where} is a Lambda, which holds Python code; a package is never executed. Replace it by layers of Keras, or export the model as ONNX or as a SavedModel`,
    );
  const other = Object.hasOwn(OTHERS, className) ? OTHERS[className] : undefined;
  if (other !== undefined) return other(config, where);
  const rule = Object.hasOwn(LAYER_RULES, className) ? LAYER_RULES[className] : undefined;
  if (rule === undefined)
    throw unsupported(`${where} is of the class ${className}, which TF.js has not. Export the model as ONNX or as a SavedModel`);
  for (const [key, allowed] of Object.entries(rule.must ?? {})) {
    if (!allowed.includes(config[key])) throw unsupported(`${where} has ${key} = ${JSON.stringify(config[key])}, which TF.js has not`);
  }
  const plain = plainConfig(config, where);
  return { ...(rule.convert?.(plain, where) ?? { className, config: plain }), weights: rule.weights?.(config) ?? [] };
}

interface Target {
  readonly names: Set<string>;
  readonly weights: PlannedWeight[];
}

/** What a layer is called in messages. */
function layerOf(value: unknown, model: string): string {
  const config = isFields(value) ? value['config'] : undefined;
  return isFields(config) && typeof config['name'] === 'string' ? `the layer "${config['name']}"` : `a layer of the model "${model}"`;
}

/** Converts the layers of a model and plans their weights. @param folder of the model, with its slash */
function convertLayers(value: readonly unknown[], { target, folder, model }: { target: Target; folder: string; model: string }): Fields[] {
  const folderOf = createFolders();
  const sequential = value.every((each) => isFields(each) && each['inbound_nodes'] === undefined);
  const objects = value.map((each) => ({ fields: each as Fields, object: kerasObject(each, layerOf(each, model)) }));
  const nested = new Set(objects.filter(({ object }) => MODELS.has(object.className)).map(({ object }) => nameOf(object)));
  return objects.map(({ fields, object }) => {
    const name = nameOf(object);
    const where = `the layer "${name}"`;
    // A Sequential model does not count its input among its layers.
    const own = sequential && object.className === 'InputLayer' ? undefined : `${folder}layers/${folderOf(object.className)}`;
    const calls = sequential ? {} : { name, inbound_nodes: inboundNodes(fields['inbound_nodes'], nested, where) };
    if (MODELS.has(object.className)) return { ...convertModel(object, target, `${own}/`), ...calls };
    const { className, config, weights } = convertLayer(object, where);
    for (const weight of weights) {
      const short = `${name}/${weight.name}`;
      // TF.js leaves out the names of nested models; two of them may have layers of one name.
      const full = target.names.has(short) ? `${model}/${short}` : short;
      target.names.add(full);
      target.weights.push({ name: full, path: `${own}/${weight.path}` });
    }
    return { class_name: className, config, ...calls };
  });
}

function convertModel(object: KerasObject, target: Target, folder: string): Fields {
  const { className, config } = object;
  const name = nameOf(object);
  const where = `the model "${name}"`;
  const layers = listOf(config, 'layers', where);
  if (className === 'Sequential') {
    const [first] = layers;
    if (!isFields(first) || first['class_name'] !== 'InputLayer')
      throw damaged(`${where} was saved before it knew the shape of its input; begin it with keras.Input`);
    const converted = convertLayers(layers, { target, folder, model: name });
    return { class_name: 'Sequential', config: { name, layers: converted } };
  }
  const nested = new Set(
    layers.filter((each): each is Fields => isFields(each) && MODELS.has(each['class_name'] as string)).map((each) => String(each['name'])),
  );
  return {
    class_name: 'Model',
    config: {
      name,
      layers: convertLayers(layers, { target, folder, model: name }),
      input_layers: modelTensors(config['input_layers'], nested, `"input_layers" of ${where}`),
      output_layers: modelTensors(config['output_layers'], nested, `"output_layers" of ${where}`),
    },
  };
}

/**
 * Makes a TF.js layers model of a Keras 3 one, Sequential or Functional.
 * @param config the `config.json` of a .keras file
 * @throws SlipwayError ENGINE_UNAVAILABLE naming the layer for Python code and what TF.js has not, INVALID_MODEL for a damaged file
 */
export function convertModelConfig(config: unknown): ConvertedModel {
  const object = kerasObject(config, 'the model');
  if (!MODELS.has(object.className))
    throw unsupported(
      `it is a ${object.className}; Sequential and Functional models can be read, and others exported as ONNX or as a SavedModel`,
    );
  const target: Target = { names: new Set(), weights: [] };
  const topology = convertModel(object, target, '');
  return { topology, weights: target.weights };
}
