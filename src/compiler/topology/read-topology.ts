import { SlipwayError } from '../../errors/slipway-error.ts';
import { createConfig, type Fields, isFields } from './config.ts';
import { INPUT_LAYER, type LayerCallSite, type LayerModel, type Model, type ModelInput, type TensorReference } from './model.ts';

const FUNCTIONAL = new Set(['Model', 'Functional']);
const SEQUENTIAL = 'Sequential';

function invalid(message: string): SlipwayError {
  return new SlipwayError('INVALID_MODEL', `modelTopology: ${message}.`);
}

function textOf(fields: Fields, key: string, where: string): string {
  const value = fields[key];
  if (typeof value !== 'string') throw invalid(`${where} has no "${key}"`);
  return value;
}

function listOf(fields: Fields, key: string, where: string): readonly unknown[] {
  const value = fields[key];
  if (!Array.isArray(value)) throw invalid(`${where} has no list "${key}"`);
  return value as unknown[];
}

interface LayerFields {
  readonly className: string;
  readonly name: string;
  readonly config: Fields;
  /** Undefined inside a Sequential model. */
  readonly inboundNodes: readonly unknown[] | undefined;
}

function layerFields(value: unknown, where: string): LayerFields {
  if (!isFields(value)) throw invalid(`${where} has a layer that is no object`);
  const className = textOf(value, 'class_name', `a layer of ${where}`);
  const { config } = value;
  // A Sequential model may be a bare list of its layers.
  const fields = Array.isArray(config) ? { layers: config as unknown[] } : config;
  if (!isFields(fields)) throw invalid(`a layer ${className} of ${where} has no "config"`);
  const name = value['name'] ?? fields['name'];
  if (typeof name !== 'string') throw invalid(`a layer ${className} of ${where} has no name`);
  const inboundNodes = value['inbound_nodes'];
  return { className, name, config: fields, inboundNodes: Array.isArray(inboundNodes) ? (inboundNodes as unknown[]) : undefined };
}

function isNested({ className }: LayerFields): boolean {
  return FUNCTIONAL.has(className) || className === SEQUENTIAL;
}

/** `["layer", call, output, …]`; the calls of a nested model count from 1, after the one that made it. */
function referenceOf(value: unknown, nested: ReadonlySet<string>, where: string): TensorReference {
  const [layer, call, output] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof layer !== 'string' || typeof call !== 'number' || typeof output !== 'number')
    throw invalid(`${where} names a tensor as ${JSON.stringify(value)}, not as [layer, call, output]`);
  return { layer, call: nested.has(layer) ? call - 1 : call, output };
}

function isReference(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'number';
}

function callSiteOf(node: unknown, nested: ReadonlySet<string>, where: string): LayerCallSite {
  if (!Array.isArray(node)) throw invalid(`${where} has a call that is no list`);
  // A call on one tensor may stand without a list around it.
  const entries = isReference(node) ? [node as unknown] : (node as unknown[]);
  const named = new Map<string, TensorReference>();
  const others: Record<string, unknown> = {};
  for (const entry of entries) {
    const keywords: unknown = Array.isArray(entry) ? entry[3] : undefined;
    if (!isFields(keywords)) continue;
    for (const [keyword, value] of Object.entries(keywords)) {
      if (isReference(value)) named.set(keyword, referenceOf(value, nested, where));
      else others[keyword] = value;
    }
  }
  return { inputs: entries.map((entry) => referenceOf(entry, nested, where)), named, keywords: others };
}

function createLayerModel(fields: LayerFields, calls: readonly LayerCallSite[]): LayerModel {
  const { className, name, config } = fields;
  return {
    className,
    name,
    config: createConfig(name, config),
    calls,
    model: isNested(fields) ? modelOf(className, name, config) : undefined,
  };
}

/** The layer that another one wraps. @param changes fields of its config that the wrapper sets. */
export function layerModelOf(value: Fields, changes: Fields): LayerModel {
  const fields = layerFields(value, 'a wrapper');
  return createLayerModel({ ...fields, config: { ...fields.config, ...changes } }, []);
}

/** One layer may give several inputs or outputs of a model, all under its name; the further ones take `_1`, `_2`, … as in tfjs. */
function uniqueNames<Item extends { readonly name: string }>(items: readonly Item[]): Item[] {
  const taken = new Set<string>();
  return items.map((item) => {
    let name = item.name;
    for (let suffix = 1; taken.has(name); suffix += 1) name = `${item.name}_${suffix}`;
    taken.add(name);
    return { ...item, name };
  });
}

function asReferences(value: readonly unknown[]): readonly unknown[] {
  return isReference(value) ? [value] : value;
}

function functionalModel(name: string, config: Fields): Model {
  const where = `the model "${name}"`;
  const fields = listOf(config, 'layers', where).map((layer) => layerFields(layer, where));
  const nested = new Set(fields.filter(isNested).map((layer) => layer.name));
  const layers = new Map<string, LayerModel>();
  for (const layer of fields) {
    if (layers.has(layer.name)) throw invalid(`${where} has two layers "${layer.name}"`);
    const calls = (layer.inboundNodes ?? []).map((node) => callSiteOf(node, nested, `the layer "${layer.name}"`));
    layers.set(layer.name, createLayerModel(layer, calls));
  }
  const tensors = (key: string): TensorReference[] =>
    asReferences(listOf(config, key, where)).map((value) => referenceOf(value, nested, `"${key}" of ${where}`));
  return {
    name,
    layers,
    inputs: uniqueNames(tensors('input_layers').map(({ layer }) => ({ name: layer, layer }))),
    outputs: uniqueNames(tensors('output_layers').map((tensor) => ({ name: tensor.layer, tensor }))),
  };
}

/** The input that the first layer of a Sequential model says by its `batch_input_shape`. */
function impliedInput(first: LayerFields): LayerFields {
  const shape = first.config['batch_input_shape'] ?? first.config['batch_shape'];
  if (!Array.isArray(shape)) throw invalid(`the first layer "${first.name}" does not say the shape of its input ("batch_input_shape")`);
  const config = { batch_input_shape: shape as unknown[], dtype: first.config['dtype'] };
  return { className: INPUT_LAYER, name: `${first.name}_input`, config, inboundNodes: undefined };
}

function sequentialModel(name: string, config: Fields): Model {
  const where = `the model "${name}"`;
  const fields = listOf(config, 'layers', where).map((layer) => layerFields(layer, where));
  const [first] = fields;
  if (first === undefined) throw invalid(`${where} has no layers`);
  // A model that begins with a model has the inputs of that.
  const begin = isNested(first) ? createLayerModel(first, []) : undefined;
  const layers = new Map<string, LayerModel>();
  let inputs: readonly ModelInput[];
  let last: { readonly name: string; readonly tensor: TensorReference };
  if (begin?.model !== undefined) {
    for (const [layerName, layer] of begin.model.layers) layers.set(layerName, layer);
    ({ inputs } = begin.model);
    [last] = begin.model.outputs as [typeof last];
    fields.shift();
  } else {
    if (first.className !== INPUT_LAYER) fields.unshift(impliedInput(first));
    const input = fields.shift()!;
    layers.set(input.name, createLayerModel(input, []));
    inputs = [{ name: input.name, layer: input.name }];
    last = { name: input.name, tensor: { layer: input.name, call: 0, output: 0 } };
  }
  for (const layer of fields) {
    if (layers.has(layer.name)) throw invalid(`${where} has two layers "${layer.name}"`);
    layers.set(layer.name, createLayerModel(layer, [{ inputs: [last.tensor], named: new Map(), keywords: {} }]));
    last = { name: layer.name, tensor: { layer: layer.name, call: 0, output: 0 } };
  }
  return { name, layers, inputs, outputs: [last] };
}

function modelOf(className: string, name: string, config: Fields): Model {
  return className === SEQUENTIAL ? sequentialModel(name, config) : functionalModel(name, config);
}

/**
 * Reads the `modelTopology` of a TF.js layers model (Keras' JSON of a model, with or without its `model_config` around).
 * @throws SlipwayError INVALID_MODEL when it is none, COMPILE_FAILED for a class of models that has no list of layers.
 */
export function readTopology(topology: Fields): Model {
  const inner = isFields(topology['model_config']) ? topology['model_config'] : topology;
  const fields = layerFields({ name: 'model', ...inner }, 'the file');
  if (!isNested(fields))
    throw new SlipwayError('COMPILE_FAILED', `The model is a ${fields.className}; Sequential and Functional models can be compiled.`);
  const own = fields.config['name'];
  return modelOf(fields.className, typeof own === 'string' ? own : fields.name, fields.config);
}
