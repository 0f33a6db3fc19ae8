/*
 * Sizes of axes, some of which only a run knows. Such a size is a symbol, `batch` or `tokens`, or a product of symbols
 * and a number, `49*batch`, always written the same way, so that two sizes are equal when their texts are. What is no
 * product is a symbol of its own, in parentheses: `(tokens+2)`.
 */

/** A size, or a symbol for one that only a run knows. */
export type Dimension = number | string;
export type Shape = readonly Dimension[];

/** The symbol of the first dimension of every input and output. */
export const BATCH = 'batch';

interface Product {
  readonly factor: number;
  /** Sorted. */
  readonly symbols: readonly string[];
}

/** The factors of a product, which are parted by `*` outside of parentheses. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')') depth -= 1;
    else if (text[at] === '*' && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function productOf(dimensions: Shape): Product {
  let factor = 1;
  const symbols: string[] = [];
  for (const dimension of dimensions) {
    for (const part of typeof dimension === 'number' ? [dimension] : partsOf(dimension)) {
      const size = Number(part);
      if (Number.isNaN(size)) symbols.push(String(part));
      else factor *= size;
    }
  }
  return { factor, symbols: symbols.toSorted() };
}

function dimensionOf({ factor, symbols }: Product): Dimension {
  if (symbols.length === 0 || factor === 0) return factor;
  return factor === 1 ? symbols.join('*') : [factor, ...symbols].join('*');
}

/** A symbol from any text, such as the name of an input. */
export function symbolOf(text: string): string {
  const symbol = text.replaceAll(/[^A-Za-z0-9_.]/g, '_');
  return /^[A-Za-z_]/.test(symbol) ? symbol : `_${symbol}`;
}

/** How many elements a shape has. */
export function elementsOf(shape: Shape): Dimension {
  return dimensionOf(productOf(shape));
}

/** What is left of a product when it is divided by another; undefined when it does not go in evenly, as far as can be seen. */
export function quotient(dividend: Shape, divisor: Shape): Dimension | undefined {
  const over = productOf(dividend);
  const under = productOf(divisor);
  const symbols = [...over.symbols];
  for (const symbol of under.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  const factor = over.factor / under.factor;
  return Number.isInteger(factor) ? dimensionOf({ factor, symbols }) : undefined;
}

/** A dimension plus a number, which may be negative. */
export function plus(dimension: Dimension, addend: number): Dimension {
  if (typeof dimension === 'number') return dimension + addend;
  if (addend === 0) return dimension;
  return `(${dimension}${addend > 0 ? '+' : ''}${addend})`;
}

/** A sum of sizes; those of the same symbols are counted: twice `batch` is `2*batch`. */
export function sum(dimensions: Shape): Dimension {
  let known = 0;
  const counts = new Map<string, number>();
  for (const dimension of dimensions) {
    const { factor, symbols } = productOf([dimension]);
    const key = symbols.join('*');
    if (key === '') known += factor;
    else counts.set(key, (counts.get(key) ?? 0) + factor);
  }
  const terms = [...counts].map(([symbol, factor]) => dimensionOf({ factor, symbols: [symbol] }));
  const [first] = terms;
  if (first === undefined) return known;
  return plus(terms.length === 1 ? first : `(${terms.join('+')})`, known);
}

export interface Window {
  /** Elements from its first to its last, those that a dilation skips included. */
  readonly extent: number;
  readonly stride: number;
  /** Elements added before and after; `same` adds as many as make ⌈size / stride⌉ windows. */
  readonly padding: readonly [number, number] | 'same';
  /** Whether a last window that is not full counts. */
  readonly ceil?: boolean;
}

/** How many windows fit along an axis. */
export function windowsAlong(dimension: Dimension, { extent, stride, padding, ceil = false }: Window): Dimension {
  if (padding === 'same') {
    if (typeof dimension === 'number') return Math.ceil(dimension / stride);
    return stride === 1 ? dimension : `ceil(${dimension}/${stride})`;
  }
  const room = plus(dimension, padding[0] + padding[1] - extent);
  if (typeof room === 'number') return (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  if (stride === 1) return plus(dimension, padding[0] + padding[1] - extent + 1);
  return plus(`${ceil ? 'ceil' : 'floor'}(${room}/${stride})`, 1);
}

/** Whether two sizes may be the same; symbols may stand for anything. */
export function mayEqual(one: Dimension, other: Dimension): boolean {
  return typeof one === 'string' || typeof other === 'string' || one === other;
}

/** Of two sizes that must be equal the one that says more. */
export function moreKnown(one: Dimension, other: Dimension): Dimension {
  return typeof one === 'number' ? one : typeof other === 'number' ? other : one;
}

/**
 * The shape that shapes broadcast to (numpy's rule: aligned at the last axis, 1 goes with any size); undefined when they
 * do not fit.
 */
export function broadcast(shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  const result: Dimension[] = Array.from({ length: rank }, () => 1);
  for (const shape of shapes) {
    for (const [index, dimension] of shape.entries()) {
      const at = rank - shape.length + index;
      const before = result[at]!;
      if (dimension === 1) continue;
      if (before !== 1 && !mayEqual(before, dimension)) return undefined;
      result[at] = before === 1 ? dimension : moreKnown(before, dimension);
    }
  }
  return result;
}

/** A shape as users read it: `[batch, 28, 28]`. */
export function formatDimensions(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
