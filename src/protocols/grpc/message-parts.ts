import { SlipwayError } from '../../errors/slipway-error.ts';
import { VARINT, type WireReader } from '../../protobuf/wire-reader.ts';

/** More of anything than a request has, and few enough to be read at little cost. */
const MOST_ENTRIES = 10_000;
const MOST_DIMENSIONS = 256;

/**
 * Adds an entry to a list of a request.
 * @throws SlipwayError INVALID_REQUEST for more than `most`: each costs more memory than it has bytes.
 */
export function push<T>(list: T[], entry: T, what: string, most = MOST_ENTRIES): void {
  if (list.length === most) throw new SlipwayError('INVALID_REQUEST', `The request has more than ${most} ${what}.`);
  list.push(entry);
}

/** One entry of a map whose keys are text and whose values are messages; a value that was not sent is undefined. */
export function readMapEntry<T>(reader: WireReader, readValue: (value: WireReader) => T): [string, T | undefined] {
  let name = '';
  let value: T | undefined;
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) value = readValue(reader.message());
    else reader.skip();
  }
  return [name, value];
}

/** Adds the dimension, or the packed dimensions, that the reader has come to. @throws SlipwayError INVALID_REQUEST */
export function pushDimensions(shape: number[], reader: WireReader): void {
  if (reader.wireType === VARINT) {
    reader.readVarint();
    push(shape, reader.number(), 'dimensions in one tensor', MOST_DIMENSIONS);
    return;
  }
  const packed = reader.message();
  while (!packed.atEnd) {
    packed.readVarint();
    push(shape, packed.number(), 'dimensions in one tensor', MOST_DIMENSIONS);
  }
}
