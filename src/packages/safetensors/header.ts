import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';

/*
 * The format: https://github.com/huggingface/safetensors#format. 8 bytes, the length of the header (unsigned, little-endian);
 * the header, JSON that begins with `{` and may end in spaces: tensors by name, `{dtype, shape, data_offsets: [begin, end]}`,
 * and `__metadata__`, texts by name; then the bytes of the tensors, row-major and little-endian, each byte of exactly one of
 * them.
 */

export const SAFETENSORS_FILE = 'model.safetensors';
const METADATA_KEY = '__metadata__';
export const LENGTH_BYTES = 8;

/** As the reference implementation has it. */
const MAX_HEADER_BYTES = 100_000_000;

/** Bytes of one number. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Of its bytes in the file. */
  readonly begin: number;
  readonly end: number;
}

export function damaged(problem: string): SlipwayError {
  return new SlipwayError('INVALID_MODEL', `${SAFETENSORS_FILE} ${problem}.`);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function entryOf(name: string, value: unknown, start: number): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype))
    throw damaged(`has the tensor "${name}" of the dtype ${JSON.stringify(dtype)}; there are ${Object.keys(DTYPE_BYTES).join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw damaged(`has the tensor "${name}" without a shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    throw damaged(`has the tensor "${name}" without "data_offsets"`);
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce<number>((product, size) => product * size, DTYPE_BYTES[dtype as SafetensorsDtype]);
  if (end - begin !== bytes)
    throw damaged(`gives the tensor "${name}" ${end - begin} bytes; ${dtype} of the shape [${shape.join(', ')}] has ${bytes}`);
  return { name, dtype: dtype as SafetensorsDtype, shape, begin: start + begin, end: start + end };
}

/** Each byte belongs to one tensor: none to two, none to nobody. */
function checkCover(entries: readonly TensorEntry[], start: number, end: number): void {
  let at = start;
  let before = 'the header';
  for (const { name, begin, end: own } of entries.toSorted((one, other) => one.begin - other.begin || one.end - other.end)) {
    if (begin < at) throw damaged(`has the tensors "${before}" and "${name}" in the same bytes`);
    if (begin > at)
      throw damaged(`has ${begin - at} bytes between ${before === 'the header' ? before : `"${before}"`} and "${name}" that no tensor has`);
    at = own;
    before = name;
  }
  if (at > end) throw damaged(`ends in the middle of the tensor "${before}"`);
  if (at < end) throw damaged(`has ${end - at} bytes behind its last tensor`);
}

/**
 * Reads and checks the header.
 * @param bytes the whole file
 * @throws SlipwayError INVALID_MODEL naming the tensor and what is wrong
 */
export function readHeader(bytes: Buffer): readonly TensorEntry[] {
  if (bytes.length < LENGTH_BYTES) throw damaged('ends in the middle of the length of its header');
  const length = bytes.readBigUInt64LE(0);
  if (length > BigInt(MAX_HEADER_BYTES)) throw damaged(`states a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are taken`);
  const start = LENGTH_BYTES + Number(length);
  if (start > bytes.length) throw damaged('ends in the middle of its header');
  const text = bytes.toString('utf8', LENGTH_BYTES, start);
  let header: unknown;
  try {
    header = text.startsWith('{') ? (JSON.parse(text) as unknown) : undefined;
  } catch (error) {
    throw damaged(`has a header that is not valid JSON: ${messageOf(error).replace(/\.$/, '')}`);
  }
  if (typeof header !== 'object' || header === null) throw damaged('has a header that is no JSON object');
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA_KEY)
    .map(([name, value]) => entryOf(name, value, start));
  checkCover(entries, start, bytes.length);
  return entries;
}
