import type { GraphBuilder } from '../../graph/builder.ts';
import { capturedBy, type Graph, type Node, usedBy, type Value } from '../../graph/graph.ts';
import { int64s } from '../../graph/tensors.ts';
import { type Derivative, type DerivativeCall, intsOf, isTransposedProduct } from '../derivative.ts';
import { sizesOf } from '../shapes.ts';

/*
 * A Scan is gone back through by another Scan, from its last step to its first. Its states are the gradients of the states,
 * and it takes what the first one computed at each step and its derivatives need: the first one then gives that, too.
 * A matrix that all steps multiply by (Σ Aᵢᵀ · Gᵢ over the steps) gets its gradient by one product of all steps' rows,
 * after the loop.
 */

/** Elements of a sequence in the order of time (0) or from its end to its start (1). */
type Direction = 0 | 1;

interface Sequence {
  readonly value: Value;
  readonly direction: Direction;
}

/** The parts of a Scan and where each value of its body can be had from. */
function readScan({ graph, attributes, inputs, input, output }: DerivativeCall) {
  const body = attributes['body'] as Graph;
  const sequences = attributes['num_scan_inputs'] as number;
  const states = inputs.length - sequences;
  const directionOf = (name: string, index: number): Direction => (attributes[name] as Direction[] | undefined)?.[index] ?? 0;
  const known = new Map<Value, Sequence>();
  for (const [index, value] of body.outputs.slice(states).entries())
    known.set(value.value, { value: output(states + index), direction: directionOf('scan_output_directions', index) });
  for (const [index, value] of body.inputs.slice(states).entries())
    known.set(value, { value: input(states + index), direction: directionOf('scan_input_directions', index) });
  return {
    body,
    states,
    own: new Set<Value | undefined>([...body.inputs, ...body.nodes.flatMap(({ outputs }) => outputs)]),
    /** What a value of the body is at each step. */
    sequenceOf(value: Value): Sequence {
      const found = known.get(value) ?? { value: graph.alsoGive(output(0), [value])[0]!, direction: 0 };
      known.set(value, found);
      return found;
    },
  };
}

type ReadScan = ReturnType<typeof readScan>;

/** What the steps back compute. */
interface StepBack {
  readonly nodes: readonly Node[];
  readonly seeds: { readonly states: readonly Value[]; readonly outputs: readonly (Value | undefined)[] };
  /** Of the states and sequences, in the order of the body's inputs. */
  readonly gradients: readonly (Value | undefined)[];
  /** Of values from outside the body. */
  readonly products: readonly { readonly of: Value; readonly left: Value; readonly right: Value }[];
  readonly sums: readonly { readonly of: Value; readonly before: Value; readonly after: Value }[];
}

function stepBack(call: DerivativeCall, { body, states }: ReadScan): StepBack {
  const { graph, math, gradientOf } = call;
  const seeds = body.outputs.map(({ value }, index) => (index < states || gradientOf(index) ? graph.variable(value) : undefined));
  const around = [...new Set(capturedBy(body))].filter((value) => call.wantsOf(value));
  let gradients: readonly (Value | undefined)[] = [];
  const products: StepBack['products'][number][] = [];
  const sums: StepBack['sums'][number][] = [];
  const nodes = graph.record(() => {
    const from = new Map(body.outputs.flatMap(({ value }, index) => (seeds[index] === undefined ? [] : [[value, seeds[index]] as const])));
    const wanted = body.inputs.filter((_value, index) => index < states || call.wants(index));
    const found = call.gradientsIn(body.nodes, from, [...wanted, ...around]);
    gradients = body.inputs.map((value, index) => {
      const gradient = wanted.includes(value) ? found[wanted.indexOf(value)] : undefined;
      return index < states ? (gradient ?? math.mul(seeds[index]!, 0)) : gradient;
    });
    for (const [index, of] of around.entries()) {
      const gradient = found[wanted.length + index];
      if (gradient === undefined) continue;
      const node = graph.producerOf(gradient);
      if (isTransposedProduct(node)) products.push({ of, left: node.inputs[0]!, right: node.inputs[1]! });
      else {
        const before = graph.variable(of);
        sums.push({ of, before, after: math.add(before, gradient) });
      }
    }
  });
  return { nodes, seeds: { states: seeds.slice(0, states) as Value[], outputs: seeds.slice(states) }, gradients, products, sums };
}

/** Matrices from outside that are transposed at each step are transposed once instead, before the first. */
function transposedBefore(graph: GraphBuilder, nodes: readonly Node[], own: ReadonlySet<Value | undefined>): readonly Node[] {
  const given = new Set(nodes.flatMap(({ outputs }) => outputs));
  const turned = new Map<Value, Value>();
  return nodes.map((node) => {
    const [left, right, ...rest] = node.inputs;
    if (node.op !== 'Gemm' || node.attributes['transB'] !== 1 || own.has(right) || given.has(right)) return node;
    const before = turned.get(right!) ?? graph.add('Transpose', [right], { perm: [1, 0] });
    turned.set(right!, before);
    return { ...node, inputs: [left, before, ...rest], attributes: { ...node.attributes, transB: 0 } };
  });
}

const flipped = (direction: Direction): Direction => (direction === 0 ? 1 : 0);

export const scan: Derivative = (call) => {
  const { graph, math, inputs, gradientOf } = call;
  const forward = readScan(call);
  const { body, states, own, sequenceOf } = forward;
  if (body.inputs.slice(0, states).some(({ dtype }) => dtype !== call.input(0).dtype))
    return call.fail('is known for states of one type only');
  if (body.nodes.some(({ op }) => op === 'Scan')) return call.fail('is not known for one inside of another one');
  const back = stepBack(call, forward);
  const zeros = (like: Value): Value => graph.add('Expand', [math.constant(0), sizesOf(graph, like)]);

  /** What the steps back give one below the other, in the order of time or the other way round. */
  const given: Sequence[] = [];
  const giveAt = (value: Value, direction: Direction): number => {
    const at = given.findIndex((each) => each.value === value && each.direction === direction);
    return at < 0 ? given.push({ value, direction }) - 1 : at;
  };
  const ofSequences = back.gradients.slice(states).map((gradient, index) => {
    return gradient && giveAt(gradient, flipped((intsOf(call, 'scan_input_directions')?.[index] ?? 0) as Direction));
  });
  // The rows of both factors in the same order.
  const ofProducts = back.products.map(({ of, left, right }) => {
    const there = own.has(left) ? sequenceOf(left) : undefined;
    const at = (value: Value): number => giveAt(value, flipped(there?.direction ?? 0));
    return { of, left: there ?? at(left), right: at(right) };
  });

  const taken = [
    ...back.seeds.states,
    ...back.sums.map(({ before }) => before),
    ...back.seeds.outputs.filter((seed) => seed !== undefined),
  ];
  const outputs = [
    ...back.gradients.slice(0, states).map((gradient) => gradient!),
    ...back.sums.map(({ after }) => after),
    ...given.map(({ value }) => value),
  ];
  const nodes = transposedBefore(graph, back.nodes, new Set([...own, ...taken]));
  const whole = graph.bodyOf([...taken, ...([...own] as Value[])], nodes, outputs);
  const used = new Set([...whole.nodes.flatMap(usedBy), ...whole.outputs.map(({ value }) => value)]);
  const saved = ([...own] as Value[]).filter((value) => used.has(value));
  const sequences: Sequence[] = [
    ...back.seeds.outputs.flatMap((seed, index) => {
      const direction = (intsOf(call, 'scan_output_directions')?.[index] ?? 0) as Direction;
      return seed === undefined ? [] : [{ value: gradientOf(states + index)!, direction }];
    }),
    ...saved.map(sequenceOf),
  ];
  const results = graph.addAll(
    'Scan',
    [
      ...back.seeds.states.map((_seed, index) => gradientOf(index) ?? zeros(inputs[index]!)),
      ...back.sums.map(({ of }) => zeros(of)),
      ...sequences.map(({ value }) => value),
    ],
    {
      body: { ...whole, inputs: [...taken, ...saved] },
      num_scan_inputs: sequences.length,
      scan_input_directions: sequences.map(({ direction }) => flipped(direction)),
      scan_output_directions: given.map(({ direction }) => direction),
    },
  );
  const firstGiven = states + back.sums.length;
  const rowsOf = (sequence: Sequence | number): Value => {
    const value = typeof sequence === 'number' ? results[firstGiven + sequence]! : sequence.value;
    return graph.add('Reshape', [value, graph.constant(int64s([-1, value.shape.at(-1) as number]))]);
  };
  for (const { of, left, right } of ofProducts) call.give(of, graph.add('Gemm', [rowsOf(left), rowsOf(right)], { transA: 1 }));
  for (const [index, { of }] of back.sums.entries()) call.give(of, results[states + index]!);
  return [...results.slice(0, states), ...ofSequences.map((at) => (at === undefined ? undefined : results[firstGiven + at]))];
};
