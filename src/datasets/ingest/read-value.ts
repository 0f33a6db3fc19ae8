/** Texts that mean that there is no value, as spreadsheets, R, Python and the UCI repository write it. */
export const MISSING_TEXTS: readonly string[] = ['', 'NA', 'N/A', 'n/a', 'NaN', 'nan', 'NULL', 'Null', 'null', 'None', '?'];

const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}

/**
 * The number that a text is, or undefined. Decimal only; no text with leading zeros, which is a code of something, and
 * no integer that a double does not hold, which is an identifier.
 */
function toNumber(text: string): number | undefined {
  const first = text.charCodeAt(0);
  const start = first === MINUS || first === 0x2b ? 1 : 0;
  const lead = text.charCodeAt(start);
  if (!isDigit(lead) && !(lead === DOT && isDigit(text.charCodeAt(start + 1)))) return undefined;
  // Leading zeros, and hexadecimal, octal and binary numbers.
  if (lead === ZERO && text.length > start + 1) {
    const second = text.charCodeAt(start + 1);
    if (second !== DOT && second !== 0x65 && second !== 0x45) return undefined;
  }
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) && /^[+-]?\d+$/.test(text) ? undefined : value;
}

/** Says what the text of a cell is: nothing, a number, a truth, or just a text. */
export type TextReader = (text: string) => string | number | boolean | undefined;

/** @param missing texts that mean that there is no value. */
export function createTextReader(missing: readonly string[]): TextReader {
  const nothing = new Set(missing);
  // Most cells are numbers, and few owners call a number nothing.
  const mayBeNumber = missing.some((text) => toNumber(text) !== undefined);
  return (text) => {
    const trimmed = text.trim();
    if (mayBeNumber && nothing.has(trimmed)) return undefined;
    const number = toNumber(trimmed);
    if (number !== undefined) return number;
    if (nothing.has(trimmed)) return undefined;
    if (trimmed.length === 4 && /^true$/i.test(trimmed)) return true;
    if (trimmed.length === 5 && /^false$/i.test(trimmed)) return false;
    return trimmed;
  };
}

/** A value as the text that it is kept as in a column of texts. */
export function textOf(value: string | number | boolean): string {
  return typeof value === 'string' ? value.trim() : String(value);
}
