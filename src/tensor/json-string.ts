import { isAscii } from 'node:buffer';
import { jsonError } from './json-error.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/** The bytes that may follow a backslash: `"\/bfnrtu`. */
const ESCAPES = new Set(Buffer.from('"\\/bfnrtu'));

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isHexDigit(code: number): boolean {
  const lower = code | 0x20;
  return (code >= 0x30 && code <= 0x39) || (lower >= 0x61 && lower <= 0x66);
}

/**
 * The offset behind the closing quote.
 * @param start offset of the opening quote.
 * @param length bytes of the document.
 * @throws SlipwayError INVALID_JSON for a control character, an unknown escape or no closing quote.
 */
export function endOfString(bytes: Buffer, start: number, length: number): number {
  let at = start + 1;
  for (; at < length; at += 1) {
    const code = bytes[at]!;
    if (code === QUOTE) return at + 1;
    if (code < 0x20) throw jsonError(at, length, 'no control character in a string');
    if (code !== BACKSLASH) continue;
    at += 1;
    if (at >= length) break;
    if (!ESCAPES.has(bytes[at]!)) throw jsonError(at, length, 'one of " \\ / b f n r t u after a backslash');
    if (bytes[at] !== LOWER_U) continue;
    for (const last = at + 4; at < last;) {
      at += 1;
      if (at >= length || !isHexDigit(bytes[at]!)) throw jsonError(at, length, 'four hexadecimal digits after \\u');
    }
  }
  throw jsonError(length, length, 'the closing quote of a string');
}

/** The first byte that is no UTF-8. */
function firstInvalid(bytes: Buffer): number {
  // A prefix is in order when, read as part of more to come, it is not refused.
  let low = 0;
  let high = bytes.length;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      low = middle;
    } catch {
      high = middle - 1;
    }
  }
  return low;
}

/**
 * The text of a string whose escapes are in order.
 * @param start offset of the opening quote.
 * @param end offset behind the closing one.
 * @throws SlipwayError INVALID_JSON when it is not UTF-8.
 */
export function readString(bytes: Buffer, start: number, end: number): string {
  const content = bytes.subarray(start + 1, end - 1);
  const escaped = content.includes(BACKSLASH);
  if (!escaped && isAscii(content)) return content.toString('latin1');
  let text: string;
  try {
    text = utf8.decode(content);
  } catch {
    const at = start + 1 + firstInvalid(content);
    throw jsonError(at, bytes.length, 'UTF-8 in a string');
  }
  return escaped ? (JSON.parse(`"${text}"`) as string) : text;
}
