import type { Distribution } from '../../engines/training/draws.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { StoredWeight } from '../../packages/tfjs/decode-weights.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { BATCH, quotient, type Shape } from '../graph/dimension.ts';
import type { GraphOutput, Value } from '../graph/graph.ts';
import { LAYERS } from '../layers/layers.ts';
import { INPUT_LAYER, type LayerModel, type Model, type TensorReference } from '../topology/model.ts';
import { layerModelOf } from '../topology/read-topology.ts';
import { addInput } from './inputs.ts';
import type { LayerCall, LoweringMode } from './layer-call.ts';
import { createArranger, type LayerTensor, plain } from './layer-tensor.ts';
import { regularizersOf } from './regularizers.ts';
import { createWeightFinder } from './weight-finder.ts';
import { applySteps, type WeightStep } from './weight-steps.ts';

/** A weight of the model as it stands in the graph: `value` holds it after `steps`. */
export interface LoweredWeight {
  /** Its name in the model's files. */
  readonly name: string;
  readonly value: Value;
  readonly steps: readonly WeightStep[];
  /** False for those of frozen layers. */
  readonly isTrained: boolean;
}

/** Random numbers that go into a training step by the name `input`. */
export interface RandomInput {
  readonly input: string;
  /** The layer that draws them, and which of its draws they are. */
  readonly layer: string;
  readonly draw: number;
  readonly distribution: Distribution;
  /** The sizes for one example: the first one is to be multiplied by the number of examples. */
  readonly shape: readonly number[];
}

/** What a weight adds to the loss: l1 · Σ|w| + l2 · Σw². */
export interface Penalty {
  readonly weight: Value;
  readonly l1: number;
  readonly l2: number;
}

export interface LoweredModel {
  readonly outputs: readonly GraphOutput[];
  readonly weights: readonly LoweredWeight[];
  /** Weights that layers themselves change in training, and what they become. */
  readonly updates: ReadonlyMap<Value, Value>;
  readonly draws: readonly RandomInput[];
  /** Of the weights that are trained. */
  readonly penalties: readonly Penalty[];
}

type Operands = Pick<LayerCall, 'inputs' | 'named' | 'keywords'>;

/** One use of a model: its layers on their inputs. A nested model has one for each of its calls. */
interface Frame {
  readonly model: Model;
  /** Names of the nested models around, outermost first. */
  readonly path: readonly string[];
  /** What the input layers give, by their names. */
  readonly inputs: ReadonlyMap<string, LayerTensor>;
  /** The outputs of each call that was lowered, by layer and number. */
  readonly done: Map<string, readonly LayerTensor[]>;
}

export interface LoweringOptions {
  /** Default: serving. */
  readonly mode?: LoweringMode;
}

/**
 * Adds the nodes of a model to a graph.
 * @throws SlipwayError COMPILE_FAILED, INVALID_MODEL naming the layer
 */
export function lowerModel(
  model: Model,
  stored: ReadonlyMap<string, StoredWeight>,
  graph: GraphBuilder,
  { mode = 'serving' }: LoweringOptions = {},
): LoweredModel {
  const arrange = createArranger(graph);
  const finder = createWeightFinder(stored);
  const weights: LoweredWeight[] = [];
  const updates = new Map<Value, Value>();
  const draws: RandomInput[] = [];
  const penalties = new Map<Value, Penalty>();
  const known = new Map<string, Value>();
  let anyMask = false;
  /** The first layer that heeds masks and has none. */
  let unmasked: string | undefined;

  function callOf(layer: LayerModel, path: readonly string[], { inputs, named, keywords }: Operands): LayerCall {
    const where = path.join('/');

    function fail(message: string): never {
      throw new SlipwayError('COMPILE_FAILED', `The layer "${where}" (${layer.className}): ${message}.`);
    }

    function find(name: string): StoredWeight {
      const weight = finder.find(path, name);
      if (weight === undefined) throw new SlipwayError('INVALID_MODEL', `The layer "${where}" has no weight "${name}" in the files.`);
      return weight;
    }

    function once(key: string, make: () => Value): Value {
      const value = known.get(key) ?? make();
      known.set(key, value);
      return value;
    }

    const isTrained = mode !== 'serving' && layer.config.boolean('trainable', true);

    function draw(distribution: Distribution, shape: Shape): Value {
      const [first, ...rest] = shape;
      const rows = first === undefined ? undefined : quotient([first], [BATCH]);
      if (typeof rows !== 'number' || !rest.every((size) => typeof size === 'number'))
        return fail('the sizes of its input must be known where it is trained in one graph; the engine tfjs trains it as it is');
      const count = draws.filter((each) => each.layer === where).length;
      const input = graph.input(`slipway/draw/${where}/${count}`, { dtype: 'FP32', shape });
      draws.push({ input: input.name, layer: where, draw: count, distribution, shape: [rows, ...rest] });
      return input;
    }

    const derived = (name: string, make: () => Tensor): Value =>
      once(`${where}:${name}`, () => graph.initializer(`${where}/${name}`, make()));

    return {
      className: layer.className,
      config: layer.config,
      inputs,
      named,
      keywords,
      graph,
      mode,
      isTrained,
      arrange,
      get input() {
        return inputs[0] ?? fail('it is called on nothing');
      },
      mask() {
        const mask = inputs[0]?.mask;
        if (mask === undefined) unmasked ??= where;
        else if ('unclear' in mask) return fail(`${mask.unclear}; use "mask_zero": false, or put no such layer before`);
        return mask?.value;
      },
      weight(name, steps = []) {
        const weight = find(name);
        return once(`${weight.name}:${JSON.stringify(steps)}`, () => {
          const value = graph.initializer(weight.name, applySteps(weight.tensor(), steps));
          weights.push({ name: weight.name, value, steps, isTrained });
          return value;
        });
      },
      update: (weight, next) => void updates.set(weight, next),
      updated: (weight) => updates.get(weight) ?? weight,
      draw,
      tensor: (name) => find(name).tensor(),
      derived,
      wrapped(fields, name, innerInputs, changes = {}) {
        const inner = layerModelOf(fields, changes);
        return lowerCall(inner, name === undefined ? path : [...path, name], { inputs: innerInputs, named: new Map(), keywords: {} });
      },
      fail,
    };
  }

  function lowerCall(layer: LayerModel, path: readonly string[], operands: Operands): readonly LayerTensor[] {
    if (layer.model !== undefined) return lowerNested(layer.model, path, operands.inputs);
    const lower = Object.hasOwn(LAYERS, layer.className) ? LAYERS[layer.className] : undefined;
    const call = callOf(layer, path, operands);
    if (lower === undefined) return call.fail('layers of this class cannot be compiled; src/compiler/README.md lists those that can');
    const given = lower(call);
    const outputs = Array.isArray(given) ? (given as readonly LayerTensor[]) : [given as LayerTensor];
    if (outputs.some(({ mask }) => mask !== undefined)) anyMask = true;
    if (mode !== 'serving') addPenalties(call, path);
    return outputs;
  }

  function addPenalties(call: LayerCall, path: readonly string[]): void {
    for (const { weight: name, l1, l2 } of regularizersOf(call)) {
      const stored = finder.find(path, name);
      const found = weights.find((weight) => weight.name === stored?.name);
      if (found?.isTrained === true) penalties.set(found.value, { weight: found.value, l1, l2 });
    }
  }

  function lowerNested(nested: Model, path: readonly string[], inputs: readonly LayerTensor[]): readonly LayerTensor[] {
    if (inputs.length !== nested.inputs.length) {
      throw new SlipwayError(
        'INVALID_MODEL',
        `The model "${path.join('/')}" takes ${nested.inputs.length} inputs and is called on ${inputs.length}.`,
      );
    }
    const frame: Frame = {
      model: nested,
      path,
      inputs: new Map(nested.inputs.map(({ layer }, index) => [layer, inputs[index]!])),
      done: new Map(),
    };
    return nested.outputs.map(({ tensor }) => tensorOf(frame, tensor));
  }

  function tensorOf(frame: Frame, { layer: name, call, output }: TensorReference): LayerTensor {
    const input = frame.inputs.get(name);
    if (input !== undefined) return input;
    const layer = frame.model.layers.get(name);
    const site = layer?.calls[call];
    if (layer === undefined || site === undefined)
      throw new SlipwayError(
        'INVALID_MODEL',
        `The model "${frame.model.name}" uses the call ${call} of the layer "${name}", which it does not have.`,
      );
    const key = `${name}:${call}`;
    let outputs = frame.done.get(key);
    if (outputs === undefined) {
      const inputs = site.inputs.map((reference) => tensorOf(frame, reference));
      const named = new Map([...site.named].map(([keyword, reference]) => [keyword, tensorOf(frame, reference)]));
      outputs = graph.inLayer(name, () => lowerCall(layer, [...frame.path, name], { inputs, named, keywords: site.keywords }));
      frame.done.set(key, outputs);
    }
    const tensor = outputs[output];
    if (tensor === undefined) throw new SlipwayError('INVALID_MODEL', `The layer "${name}" has no output ${output}.`);
    return tensor;
  }

  const inputs = new Map<string, LayerTensor>();
  for (const { name, layer } of model.inputs) {
    const found = model.layers.get(layer);
    if (found?.className !== INPUT_LAYER)
      throw new SlipwayError('INVALID_MODEL', `The input "${name}" of the model is no layer InputLayer.`);
    inputs.set(layer, plain(addInput(graph, name, found.config)));
  }
  const frame: Frame = { model, path: [], inputs, done: new Map() };
  const outputs = model.outputs.map(({ name, tensor }) => ({ name, value: arrange.plain(tensorOf(frame, tensor)) }));
  // tfjs hands a mask that one layer made to every layer after it, be it connected or not.
  if (anyMask && unmasked !== undefined) {
    throw new SlipwayError(
      'COMPILE_FAILED',
      `The layer "${unmasked}" heeds masks but gets none, while other layers of the model make masks, and tfjs mixes these up. ` +
        'Put a Masking layer before it, or use no masks.',
    );
  }
  return { outputs, weights, updates, draws, penalties: [...penalties.values()] };
}
