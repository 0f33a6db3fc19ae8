import type { Read } from './json.ts';
import type { InferRequest, Outcome, Outputs, Route } from './route.ts';
import { type Element, elementsOf, isFloat, type Tensor } from './tensor.ts';

function isRaw(output: Tensor | Read): output is Tensor {
  return 'bytes' in output;
}

/** An element is null where a route has no number for it: NaN or an infinity. */
function sameElement(one: Element | null, other: Element | null): boolean {
  if (one === null || other === null) {
    const rest = one ?? other;
    return rest === null || (typeof rest === 'number' && !Number.isFinite(rest));
  }
  return Buffer.isBuffer(one) && Buffer.isBuffer(other) ? one.equals(other) : Object.is(one, other);
}

function shown(element: Element | null | undefined): string {
  return Buffer.isBuffer(element) ? element.toString('hex') : String(element);
}

/** What differs between two outputs; raw ones are compared to the bit. */
function differenceOf(one: Tensor | Read, other: Tensor | Read): string | undefined {
  if (one.dtype !== other.dtype) return `is ${other.dtype} and not ${one.dtype}`;
  if (one.shape.join() !== other.shape.join()) return `is [${other.shape.join(', ')}] and not [${one.shape.join(', ')}]`;
  const [expected, found] = [one, other].map((each) => (isRaw(each) ? elementsOf(each) : each.elements)) as [Element[], Element[]];
  if (expected.length !== found.length) return `has ${found.length} elements and not ${expected.length}`;
  const at = expected.findIndex((element, index) => !sameElement(element, found[index]!));
  if (at !== -1) return `has ${shown(found[at])} at ${at} and not ${shown(expected[at])}`;
  // Which NaN it is only shows in the bits.
  if (isRaw(one) && isRaw(other) && isFloat(one.dtype) && !one.bytes.equals(other.bytes)) return 'has other bits';
  return undefined;
}

export function differencesOf(expected: Outputs, found: Outputs): string[] {
  const names = [...expected.keys()];
  // Protocols with a map of outputs have no order of them.
  const missing = names.filter((name) => !found.has(name)).map((name) => `the output "${name}" is missing`);
  const more = [...found.keys()].filter((name) => !expected.has(name)).map((name) => `the output "${name}" was not expected`);
  const different = names.flatMap((name) => {
    const difference = found.has(name) ? differenceOf(expected.get(name)!, found.get(name)!) : undefined;
    return difference === undefined ? [] : [`the output "${name}" ${difference}`];
  });
  return [...missing, ...more, ...different];
}

/** Sends a request; what breaks the protocol is told with its route. */
export async function outcomeOf(route: Route, request: InferRequest): Promise<Outcome> {
  try {
    return await route.send(request);
  } catch (error) {
    throw new Error(`${route.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
