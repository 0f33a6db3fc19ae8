import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { NumericArray, parseJson, type ScannedJson, type ScanOptions } from '../../../src/tensor/json-scanner.ts';
import { toPlain } from '../../../src/tensor/plain-json.ts';

function parse(text: string, options?: ScanOptions): ScannedJson {
  return parseJson(Buffer.from(text), options);
}

function plain(text: string, options?: ScanOptions): unknown {
  return toPlain(parse(text, options));
}

function numeric(text: string, options?: ScanOptions): NumericArray {
  const value = parse(text, options);
  if (!(value instanceof NumericArray)) throw new Error(`${text} is no numeric array`);
  return value;
}

function failure(bytes: Uint8Array | string, options?: ScanOptions): SlipwayError {
  try {
    parseJson(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, options);
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
  throw new Error(`${String(bytes)} was read`);
}

/** What JSON.parse makes of the text, with the bigints of the scanner rounded as JSON.parse rounds. */
function rounded(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rounded(each)]));
}

/** A reviver for JSON.parse, which reads numbers beyond the doubles as infinities. */
function finite(_name: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('beyond the range of a double');
  return value;
}

/** Texts of numbers in every form that JSON allows. */
const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.constant('0'), fc.stringMatching(/^[1-9]\d{0,30}$/)),
    fc.oneof(fc.constant(''), fc.stringMatching(/^\.\d{1,30}$/), fc.stringMatching(/^\.0{1,20}\d{1,20}$/)),
    fc.oneof(fc.constant(''), fc.stringMatching(/^[eE][+-]?\d{1,2}$/), fc.constantFrom('e-320', 'E+000270', 'e-4000')),
  )
  .map((parts) => parts.join(''))
  .filter((text) => Number.isFinite(Number(text)));

/** Values with white space of every kind between their tokens. */
function spaced(text: string, space: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]/g, (token) => (token.startsWith('"') ? token : space + token + space));
}

describe('parseJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ depthSize: 'medium', stringUnit: 'binary' }), fc.constantFrom('', ' ', '\n\t\r '), (text, space) => {
        const written = spaced(text, space);
        expect(rounded(plain(written))).toEqual(JSON.parse(written));
      }),
      { numRuns: 500 },
    );
  });

  it('reads every escape and lone surrogates', () => {
    const text = String.raw`["\"\\\/\b\f\n\r\t","\u00e9\uD83D\uDE00","\ud800","é😀\ufeff","","\u0000"]`;
    expect(plain(text)).toEqual(JSON.parse(text));
    expect(plain('"\ufeffx"')).toBe('\ufeffx');
  });

  it('reads numbers to the bit', () => {
    fc.assert(
      fc.property(fc.array(numberText, { minLength: 1 }), (texts) => {
        const { values } = numeric(`[${texts.join(', ')}]`);
        expect([...values]).toEqual(texts.map(Number));
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads the doubles and singles that a program prints, to the bit', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true });
    const single = fc.float({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(fc.oneof(double, single), { minLength: 1, maxLength: 50 }), (values) => {
        expect([...numeric(`[${values.map((value) => (Object.is(value, -0) ? '-0.0' : String(value))).join()}]`).values]).toEqual(values);
      }),
      { numRuns: 1_000 },
    );
  });

  it('rounds numbers at and beside the middle of two doubles as Number does', () => {
    const middles = [
      '9007199254740993',
      '9007199254740993.0000000001',
      '9007199254740992.9999999999',
      '0.500000000000000055511151231257827',
    ];
    const texts = [
      ...middles,
      '5e-324',
      '2.4703282292062327e-324',
      '2.4703282292062328e-324',
      '1.7976931348623157e308',
      '-0',
      '-0.0',
      '0e99999',
      '0.00000000000000000000000000000000',
    ];
    for (const text of texts) expect(numeric(`[${text}]`).values[0], text).toBe(Number(text));
  });

  it('makes one numeric array of regular arrays', () => {
    const array = numeric('[[[1,2,3],[4,5,6]],[[7,8,9],[10,11,12]]]');
    expect(array.shape).toEqual([2, 2, 3]);
    expect([...array.values]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(array.bigints).toBeUndefined();
    expect(numeric('[]').shape).toEqual([0]);
    expect(numeric('[[],[]]').shape).toEqual([2, 0]);
    expect(numeric('[[[]]]').shape).toEqual([1, 1, 0]);
  });

  it('keeps several arrays of one document apart, also beyond the first room', () => {
    const long = Array.from({ length: 40_000 }, (_each, index) => index / 4);
    const value = parse(JSON.stringify({ a: [1, 2], b: [[3], [4]], long, after: [5] })) as Record<string, NumericArray>;
    expect([...value['a']!.values]).toEqual([1, 2]);
    expect(value['b']!.shape).toEqual([2, 1]);
    expect([...value['b']!.values]).toEqual([3, 4]);
    expect([...value['long']!.values]).toEqual(long);
    expect([...value['after']!.values]).toEqual([5]);
  });

  it('keeps no more numbers than the numeric arrays hold', () => {
    const many = Array.from({ length: 10_000 }, (_number, index) => index);
    const value = parse(JSON.stringify({ a: [...many, 'x'], b: 3, c: many })) as Record<string, NumericArray>;
    expect(value['c']!.values.buffer.byteLength).toBe(80_000);
  });

  it.each([
    '[[1,2],[3,4],[5,6]]',
    '[[[1,2],[3,4]],[[5,6],[7,8]]]',
    '[ [ 1 , 2 ] , [ 3 , 4 ] ]',
    '[[1,2],[3,4],[5]]',
    '[[1,2],[3,4],[5,6,7]]',
    '[[1,2],[3,4],[]]',
    '[[1,2],[3,4],[5,"x"]]',
    '[[1,2],[3,4],[5,[6]]]',
    '[[1,2],[3,4],5,[6,7]]',
    '[[1,2],[9007199254740993,4],[5]]',
  ])('reads rows of numbers as JSON.parse does: %s', (text) => {
    const read = JSON.stringify(plain(text), (_name, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
    expect(read).toBe(JSON.stringify(JSON.parse(text)));
  });

  it('says where a row of numbers is broken', () => {
    expect(() => parse('[[1,2],[3,4}]')).toThrow('byte 11');
    expect(() => parse('[[1,2],[3,]]')).toThrow('byte 10');
    expect(() => parse('[[1,2],[3,4]')).toThrow('where the document ends');
  });

  it('does not let one document change the numbers of another', () => {
    const first = numeric('[1,2,3]');
    numeric('[7,8,9]');
    expect([...first.values]).toEqual([1, 2, 3]);
  });

  it.each([
    '[[1,2],[3]]',
    '[1,[2]]',
    '[[1],2]',
    '[[1],[2],"x",[3]]',
    '[1,2,"x",3,[4,5]]',
    '[[[1],[2]],[[3]]]',
    '[[1],null]',
    '[[],[1]]',
    '[[[]],[]]',
    '[true]',
    '[9007199254740993,"x"]',
  ])('keeps the irregular %s as ordinary arrays', (text) => {
    expect(parse(text)).toBeInstanceOf(Array);
    expect(rounded(plain(text))).toEqual(JSON.parse(text));
  });

  it('keeps integers that no double holds', () => {
    const array = numeric('[[1,9007199254740993],[-9223372036854775808,18446744073709551615]]');
    expect(array.bigints).toEqual(
      new Map([
        [1, 9007199254740993n],
        [3, 18446744073709551615n],
      ]),
    );
    expect(array.at(2)).toBe(-9223372036854775808);
    expect(toPlain(array)).toEqual([
      [1, 9007199254740993n],
      [-9223372036854775808, 18446744073709551615n],
    ]);
    expect(parse('9007199254740993')).toBe(9007199254740993n);
    expect(parse('-9007199254740993')).toBe(-9007199254740993n);
    expect(parse('9007199254740992')).toBe(9007199254740992);
    expect(parse('9007199254740993.0')).toBe(9007199254740992);
    expect(plain('[{"a":9007199254740993},[9007199254740995],5]')).toEqual([{ a: 9007199254740993n }, [9007199254740995n], 5]);
  });

  it('gives big integers to the array they stand in', () => {
    const value = parse('{"a":[1],"b":[9007199254740993],"c":[[2,9007199254740995]]}') as Record<string, NumericArray>;
    expect(value['a']!.bigints).toBeUndefined();
    expect(value['b']!.bigints).toEqual(new Map([[0, 9007199254740993n]]));
    expect(value['c']!.bigints).toEqual(new Map([[1, 9007199254740995n]]));
  });

  it('treats __proto__ as a name like any other and lets the last of equal names count', () => {
    const value = parse('{"__proto__":{"a":1},"b":1,"b":2}') as Record<string, ScannedJson>;
    expect(Object.keys(value)).toEqual(['__proto__', 'b']);
    expect(value['a']).toBeUndefined();
    expect(value['b']).toBe(2);
    const copy = toPlain(value) as Record<string, unknown>;
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Object.keys(copy)).toEqual(['__proto__', 'b']);
  });

  it('takes NaN and infinities only when told to', () => {
    const { values } = numeric('[NaN, 1,-Infinity ,Infinity,-2]', { nonFinite: true });
    expect([...values]).toEqual([Number.NaN, 1, -Infinity, Infinity, -2]);
    expect(numeric('[[1,NaN],[-Infinity,2]]', { nonFinite: true }).shape).toEqual([2, 2]);
    expect(parse('{"a":-Infinity}', { nonFinite: true })).toEqual({ a: -Infinity });
    for (const text of ['NaN', '[1,NaN]', '[Infinity]', '[-Infinity]', '[1,-Infinity]', '-Infinity'])
      expect(failure(text).code, text).toBe('INVALID_JSON');
    for (const text of ['[NaN1]', '[Inf]', '[-Inf]', '[+Infinity]', '[nan]'])
      expect(failure(text, { nonFinite: true }).code, text).toBe('INVALID_JSON');
  });

  it.each([
    ['', 'expected a value at byte 0, where the document ends'],
    ['  ', 'expected a value at byte 0, where the document ends'],
    ['{"a":1,}', 'expected a name in quotes at byte 7'],
    ['{"a" 1}', 'expected ":" at byte 5'],
    ['{a:1}', 'expected a name in quotes at byte 1'],
    ['[1,2', 'expected "," or "]" at byte 4, where the document ends'],
    ['[1,', 'expected a value at byte 3, where the document ends'],
    ['[1,]', 'expected a value at byte 3'],
    ['[,1]', 'expected a value at byte 1'],
    ['[1 2]', 'expected "," or "]" at byte 3'],
    ['[01]', 'expected no digit after a leading 0 at byte 2'],
    ['[-]', 'expected a digit at byte 2'],
    ['[+1]', 'expected a value at byte 1'],
    ['[.5]', 'expected a value at byte 1'],
    ['[1.]', 'expected a digit at byte 3'],
    ['[1.e3]', 'expected a digit at byte 3'],
    ['[1234567890.]', 'expected a digit at byte 12'],
    ['[1e]', 'expected a digit at byte 3'],
    ['[1e+]', 'expected a digit at byte 4'],
    ['[1x]', 'expected "," or "]" at byte 2'],
    ['[0x10]', 'expected "," or "]" at byte 2'],
    ['-', 'expected a digit at byte 1, where the document ends'],
    ['1 2', 'expected the end of the document at byte 2'],
    ['[1]]', 'expected the end of the document at byte 3'],
    ['tru', 'expected true at byte 0'],
    ['nul]', 'expected null at byte 0'],
    ['"a', 'expected the closing quote of a string at byte 2, where the document ends'],
    ['["a]', 'expected the closing quote of a string at byte 4, where the document ends'],
    ['"\\', 'expected the closing quote of a string at byte 2, where the document ends'],
    ['["\\x"]', 'after a backslash at byte 3'],
    ['"\\u12g4"', 'expected four hexadecimal digits after \\u at byte 5'],
    ['"a\nb"', 'expected no control character in a string at byte 2'],
    ['\ufeff{}', 'expected a value at byte 0'],
    ['[1e400]', 'The number at byte 1 is beyond the range of a double'],
    ['[1,-1e999999999999]', 'The number at byte 3 is beyond the range of a double'],
  ])('says where %j stops being JSON', (text, message) => {
    const error = failure(text);
    expect(error.code).toBe('INVALID_JSON');
    expect(error.message).toContain(message);
  });

  it('refuses bytes that are no UTF-8 and names the byte', () => {
    expect(failure(Buffer.from([0x22, 0x61, 0xff, 0x22])).message).toContain('expected UTF-8 in a string at byte 2');
    expect(failure(Buffer.from([0x5b, 0x22, 0xc3, 0x22, 0x5d])).message).toContain('expected UTF-8 in a string at byte');
    expect(failure(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])).code).toBe('INVALID_JSON');
    expect(failure(Buffer.from([0xff])).message).toContain('expected a value at byte 0');
  });

  it('refuses what is nested too deep', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(numeric(nested(64)).shape.length).toBe(64);
    expect(failure(nested(65)).message).toContain('nested too deep at byte 64; at most 64 levels');
    expect(failure('{"a":'.repeat(100_000)).message).toContain('nested too deep');
    expect(failure('['.repeat(1_000_000), { maxDepth: Infinity }).message).toContain('at most 1000 levels');
    expect(toPlain(parse(nested(1_000), { maxDepth: 1_000 }))).toEqual(JSON.parse(nested(1_000)));
  });

  it('reads a part of a larger buffer and any Uint8Array', () => {
    const bytes = Buffer.from('xx[1,2]5');
    expect([...(parseJson(bytes.subarray(2, 7)) as NumericArray).values]).toEqual([1, 2]);
    expect(parseJson(new Uint8Array(bytes).subarray(3, 4))).toBe(1);
    expect(failure(bytes.subarray(2, 6)).message).toContain('at byte 4, where the document ends');
  });

  it('agrees with JSON.parse on damaged documents', () => {
    const document = Buffer.from('{"a":[[1.5,-2e3],[0.1234567890123,12345678901]],"b":["x\\u00e9\\n",null,true,{"c":[]}],"é":-0}');
    fc.assert(
      fc.property(fc.nat(document.length - 1), fc.nat(255), fc.nat(document.length), (at, byte, cut) => {
        const damaged = Buffer.from(document.subarray(0, cut));
        if (at < cut) damaged[at] = byte;
        let expected: unknown;
        try {
          expected = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(damaged), finite);
        } catch {
          expect(failure(damaged).code).toBe('INVALID_JSON');
          return;
        }
        expect(rounded(toPlain(parseJson(damaged)))).toEqual(expected);
      }),
      { numRuns: 3_000 },
    );
  });

  it('throws only coded errors, whatever the bytes', () => {
    const likely = fc.constantFrom(...Buffer.from('[]{},:"\\0123456789.eE+-truefalsn NI\n'));
    const garbage = fc.array(fc.oneof({ weight: 9, arbitrary: likely }, fc.nat(255)), { maxLength: 40 });
    fc.assert(
      fc.property(garbage, fc.boolean(), (bytes, nonFinite) => {
        try {
          toPlain(parseJson(Uint8Array.from(bytes), { nonFinite }));
        } catch (error) {
          expect(error).toBeInstanceOf(SlipwayError);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
