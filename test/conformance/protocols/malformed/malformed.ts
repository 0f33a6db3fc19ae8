import type { Random } from '../random.ts';

export interface MalformedOutcome {
  /** Of HTTP, or of gRPC. */
  readonly status: number;
  /** What is wrong with the answer; undefined for outputs and for an error of the client. */
  readonly problem: string | undefined;
}

/** A request that may be wrong in any way, ready to be sent. */
export interface MalformedRequest {
  /** What was sent, for a person who wants to send it again. */
  readonly sent: string;
  /** Rejects when no answer comes. */
  send(): Promise<MalformedOutcome>;
}

export interface MalformedSource {
  readonly protocol: string;
  next(random: Random): MalformedRequest;
}

/** Numbers that overflow, underflow or are no numbers of the kind that is asked for. */
export const HOSTILE_NUMBERS = [
  '-1',
  '0',
  '1.5',
  '1e400',
  '-0',
  '2147483648',
  '1073741824',
  '9007199254740993',
  '9223372036854775808',
  '18446744073709551616',
  '1e15',
  '"3"',
  'null',
  'true',
  '[]',
  '{}',
  'NaN',
  '-Infinity',
];

/** Shapes for data that does not have them; the products of some are over 2^53. */
export const HOSTILE_SHAPES = [
  '[-1]',
  '[3,-1]',
  '[0]',
  '[]',
  '[4]',
  '[2]',
  '[1073741824]',
  '[94906267,94906267]',
  '[4294967296,4294967296,4294967296]',
  '[0,9007199254740992,9007199254740992]',
  '[1.5]',
  '["3"]',
  'null',
  '3',
  '{}',
  '[[3]]',
  `[${Array.from({ length: 300 }, () => 1).join(',')}]`,
];

/** Nests deeper than any tensor. */
export function deepJson(random: Random): string {
  const depth = random.pick([60, 100, 1_000, 20_000]);
  return random.pick([`${'['.repeat(depth)}1${']'.repeat(depth)}`, '['.repeat(depth), '{"a":'.repeat(depth), '[1,'.repeat(depth)]);
}

/** Cuts, doubles, overwrites or mixes bytes, once or a few times. */
export function mutate(random: Random, bytes: Buffer, other: Buffer): Buffer {
  let mutated = Buffer.from(bytes);
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const at = random.below(mutated.length + 1);
    const end = Math.min(mutated.length, at + random.below(16));
    switch (random.below(7)) {
      case 0:
        mutated = mutated.subarray(0, at);
        break;
      case 1:
        if (at < mutated.length) mutated[at] = random.below(256);
        break;
      case 2:
        if (at < mutated.length) mutated[at]! ^= 1 << random.below(8);
        break;
      case 3:
        mutated = Buffer.concat([mutated.subarray(0, at), random.bytes(random.below(9)), mutated.subarray(at)]);
        break;
      case 4:
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(end)]);
        break;
      case 5:
        mutated = Buffer.concat([mutated.subarray(0, end), mutated.subarray(at)]);
        break;
      default:
        mutated = Buffer.concat([mutated.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    }
    mutated = Buffer.from(mutated);
  }
  return mutated;
}

/** Bytes as they can be read in a report. */
export function shown(bytes: Buffer | string): string {
  const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1');
  return JSON.stringify(text.length > 400 ? `${text.slice(0, 400)}… (${text.length} bytes)` : text);
}
