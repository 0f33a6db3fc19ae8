import { SlipwayError } from '../../errors/slipway-error.ts';
import type { NumericData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Shape } from './dimension.ts';
import { finishGraph } from './finish.ts';
import { type Attributes, type Graph, type GraphOutput, type Node, usedBy, type Value, type ValueType } from './graph.ts';
import type { AttributesOf, Operator, OperatorCall } from './operator.ts';
import { type OperatorName, OPERATORS } from './operators/operators.ts';
import { RANDOM } from './operators/random.ts';

type AttributesFor<Op extends OperatorName> = AttributesOf<(typeof OPERATORS)[Op]['attributes']>;

/** What a node may take: undefined leaves an optional input out. */
export type Inputs = readonly (Value | undefined)[];

/**
 * Makes a graph node by node. Each node is checked, and the types of its outputs are inferred, as it is added.
 * @throws SlipwayError COMPILE_FAILED from `add` and `addAll`, naming the layer and the operator.
 */
export interface GraphBuilder {
  /** An input of the graph. @param name as the caller of the graph knows it. */
  input(name: string, type: ValueType): Value;
  /** A weight: a tensor of the graph under a name of its own, which is not copied. */
  initializer(name: string, tensor: Tensor): Value;
  /** A small tensor that the graph needs by itself, such as a list of axes; the same one for the same content. */
  constant(tensor: Tensor): Value;
  /** Adds a node. @returns its first output. */
  add<Op extends OperatorName>(op: Op, inputs: Inputs, attributes?: AttributesFor<Op>): Value;
  /** Adds a node. @returns all of its outputs; those that nobody takes are left out of the graph if they may. */
  addAll<Op extends OperatorName>(op: Op, inputs: Inputs, attributes?: AttributesFor<Op>): readonly Value[];
  /** A body for Scan. @param make adds its nodes and returns its outputs; it may use every value that is there already. */
  body(inputs: readonly ValueType[], make: (inputs: readonly Value[]) => readonly Value[]): Graph;
  /** A value that no node gives: an input of a body that is made of recorded nodes. */
  variable(type: ValueType): Value;
  /** Collects the nodes that `work` adds instead of adding them to the graph. */
  record(work: () => void): readonly Node[];
  /** A body of recorded nodes. What none of its inputs changes is computed before, once for all steps. */
  bodyOf(inputs: readonly Value[], nodes: readonly Node[], outputs: readonly Value[]): Graph;
  /** Further outputs for the Scan that gives a value: what its body has at each step, one below the other. */
  alsoGive(ofScan: Value, inBody: readonly Value[]): readonly Value[];
  /** What is added during `work` belongs to a layer. Inside another layer its name is put behind a slash. */
  inLayer<Result>(name: string, work: () => Result): Result;
  /** Turns an initializer into an input of the same name, e.g. a weight that a training step takes and gives back. */
  makeInput(initializer: Value): Tensor;
  /** The node that gives a value; undefined for inputs and initializers. */
  producerOf(value: Value): Node | undefined;
  /** What an initializer or constant holds. */
  tensorOf(value: Value): Tensor | undefined;
  /** The nodes so far, in the order in which they were added. */
  readonly nodes: readonly Node[];
  /** The graph that computes these outputs, without the nodes and initializers that they do not need. */
  finish(name: string, outputs: readonly GraphOutput[]): Graph;
}

/** Constants of more elements are not looked for among those that are there. */
const MOST_SHARED_ELEMENTS = 64;

/** More cannot be a list of sizes. */
const MOST_SIZES = 64;

function contentKey({ dtype, shape, data }: Tensor): string | undefined {
  return data.length > MOST_SHARED_ELEMENTS ? undefined : `${dtype}[${shape.join()}]${(data as NumericData).join()}`;
}

export function createGraphBuilder(): GraphBuilder {
  const names = new Set<string>();
  const inputs: Value[] = [];
  const initializers = new Map<Value, Tensor>();
  const shared = new Map<string, Value>();
  const sizes = new Map<Value, Shape>();
  const producers = new Map<Value, Node>();
  /** The nodes of the graph, and on top of them those of the bodies that are being made. */
  const frames: Node[][] = [[]];
  let layer = '';

  function uniqueName(wanted: string): string {
    let name = wanted;
    for (let suffix = 1; names.has(name); suffix += 1) name = `${wanted}_${suffix}`;
    names.add(name);
    return name;
  }

  const newValue = (name: string, { dtype, shape }: ValueType): Value => ({ name: uniqueName(name), dtype, shape });

  function sizesIn(value: Value): Shape | undefined {
    const tensor = initializers.get(value);
    if (tensor === undefined) return sizes.get(value);
    if (tensor.data.length > MOST_SIZES || (tensor.dtype !== 'INT64' && tensor.dtype !== 'INT32')) return undefined;
    return Array.from(tensor.data as BigInt64Array | Int32Array, Number);
  }

  function callOf(op: string, taken: Inputs, attributes: Attributes): OperatorCall {
    function fail(message: string): never {
      const where = layer === '' ? '' : `The layer "${layer}": `;
      throw new SlipwayError('COMPILE_FAILED', `${where}${where === '' ? 'The' : 'the'} operator ${op} ${message}.`);
    }
    return {
      inputs: taken,
      attributes,
      input: (index) => taken[index] ?? fail(`needs an input at position ${index}`),
      constantOf: (index) => (taken[index] === undefined ? undefined : initializers.get(taken[index])),
      sizesOf: (index) => (taken[index] === undefined ? undefined : sizesIn(taken[index])),
      fail,
    };
  }

  function checkCall(operator: Operator, { inputs: taken, attributes, fail, input }: OperatorCall): void {
    const [fewest, most] = operator.arity;
    if (taken.length < fewest || taken.length > most)
      fail(`takes ${fewest === most ? fewest : `${fewest} to ${most}`} inputs, not ${taken.length}`);
    for (let index = 0; index < fewest; index += 1) input(index);
    for (const name of Object.keys(attributes)) if (!Object.hasOwn(operator.attributes, name)) fail(`has no attribute ${name}`);
  }

  function initializer(name: string, tensor: Tensor): Value {
    const value = newValue(name, tensor);
    initializers.set(value, tensor);
    return value;
  }

  function addAll<Op extends OperatorName>(op: Op, taken: Inputs, attributes: AttributesFor<Op> = {}): readonly Value[] {
    const operator: Operator = OPERATORS[op];
    const call = callOf(op, taken, attributes as Attributes);
    checkCall(operator, call);
    const name = uniqueName(layer === '' ? op : `${layer}/${op}`);
    const types = operator.infer(call);
    // A single output has the name of its node.
    const outputs = types.map(({ dtype, shape }, index) =>
      types.length === 1 ? { name, dtype, shape } : newValue(`${name}:${index}`, { dtype, shape }),
    );
    const node: Node = { op, name, layer, inputs: taken, outputs, attributes: attributes as Attributes };
    frames.at(-1)!.push(node);
    for (const value of outputs) producers.set(value, node);
    const held = operator.sizes?.(call);
    if (held !== undefined) sizes.set(outputs[0]!, held);
    return outputs;
  }

  const variable = (type: ValueType): Value => newValue(`${layer}/step`, type);

  function record(work: () => void): readonly Node[] {
    const nodes: Node[] = [];
    frames.push(nodes);
    try {
      work();
      return nodes;
    } finally {
      frames.pop();
    }
  }

  function bodyOf(taken: readonly Value[], nodes: readonly Node[], given: readonly Value[]): Graph {
    const changing = new Set<Value | undefined>(taken);
    const own: Node[] = [];
    for (const node of nodes) {
      const changes = Object.hasOwn(RANDOM, node.op) || usedBy(node).some((value) => changing.has(value));
      (changes ? own : frames.at(-1)!).push(node);
      if (changes) for (const value of node.outputs) changing.add(value);
    }
    const outputs = given.map((value) => ({ name: `${value.name}/given`, value }));
    return finishGraph({ name: `${layer}/body`, inputs: taken, outputs, nodes: own, initializers: new Map() }, uniqueName);
  }

  return {
    input(name, type) {
      const value = newValue(name, type);
      if (value.name !== name) throw new SlipwayError('COMPILE_FAILED', `The graph has two inputs or weights of the name "${name}".`);
      inputs.push(value);
      return value;
    },
    initializer,
    constant(tensor) {
      const key = contentKey(tensor);
      const known = key === undefined ? undefined : shared.get(key);
      if (known !== undefined) return known;
      const value = initializer(`constant/${tensor.dtype}`, tensor);
      if (key !== undefined) shared.set(key, value);
      return value;
    },
    add: (op, taken, attributes) => addAll(op, taken, attributes)[0]!,
    addAll,
    body(types, make) {
      const taken = types.map(variable);
      let given: readonly Value[] = [];
      const nodes = record(() => {
        given = make(taken);
      });
      return bodyOf(taken, nodes, given);
    },
    variable,
    record,
    bodyOf,
    alsoGive(ofScan, inBody) {
      const node = producers.get(ofScan)!;
      const frame = frames.find((each) => each.includes(node))!;
      const { body, ...attributes } = node.attributes as { readonly body: Graph } & Attributes;
      // That of the sequences, which come last among its inputs.
      const [length] = node.inputs.at(-1)!.shape;
      const further = inBody.map((value) => ({ name: `${value.name}/given`, value }));
      const directions = attributes['scan_output_directions'] as readonly number[] | undefined;
      const outputs = inBody.map(({ dtype, shape }) => newValue(`${node.name}:given`, { dtype, shape: [length!, ...shape] }));
      const changed: Node = {
        ...node,
        outputs: [...node.outputs, ...outputs],
        attributes: {
          ...attributes,
          body: finishGraph({ ...body, outputs: [...body.outputs, ...further] }, uniqueName),
          ...(directions && { scan_output_directions: [...directions, ...inBody.map(() => 0)] }),
        },
      };
      frame[frame.indexOf(node)] = changed;
      for (const value of changed.outputs) if (value !== undefined) producers.set(value, changed);
      return outputs;
    },
    inLayer(name, work) {
      const outer = layer;
      layer = outer === '' ? name : `${outer}/${name}`;
      try {
        return work();
      } finally {
        layer = outer;
      }
    },
    makeInput(value) {
      const tensor = initializers.get(value);
      if (tensor === undefined) throw new Error(`${value.name} is no initializer.`);
      initializers.delete(value);
      inputs.push(value);
      return tensor;
    },
    producerOf: (value) => producers.get(value),
    tensorOf: (value) => initializers.get(value),
    get nodes() {
      return frames[0]!;
    },
    finish: (name, outputs) => finishGraph({ name, inputs: [...inputs], outputs, nodes: frames[0]!, initializers }, uniqueName),
  };
}
