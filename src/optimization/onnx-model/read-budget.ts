import type { WireReader } from '../../protobuf/wire-reader.ts';
import { invalidModel } from './invalid-model.ts';
import type { RawFields } from './model.ts';

/**
 * What a file may make of itself in memory. Elements of tensors stay where they are in the file; everything else becomes
 * objects of many times its bytes, so that is what is limited.
 */
export interface ReadBounds {
  /** Most bytes of nodes, names, types and attributes. */
  readonly maxGraphBytes: number;
  /** Most nodes, values, attributes, tensors and fields of them in all. */
  readonly maxGraphParts: number;
}

export interface ReadBudget {
  /** @throws SlipwayError INVALID_MODEL over the bound */
  bytes(count: number): void;
  /** Before something becomes an object. @throws SlipwayError INVALID_MODEL over the bound */
  part(): void;
  /** Keeps the field that a reader has come to as it is. */
  keep(reader: WireReader, fields: RawFields): void;
}

export function createReadBudget({ maxGraphBytes, maxGraphParts }: ReadBounds): ReadBudget {
  let taken = 0;
  let parts = 0;
  const part = (): void => {
    parts += 1;
    if (parts > maxGraphParts) throw invalidModel(`has more than ${maxGraphParts} nodes, values and attributes; so many are allowed`);
  };
  return {
    bytes(count) {
      taken += count;
      if (taken > maxGraphBytes) throw invalidModel(`has more than ${maxGraphBytes} bytes of nodes and names; so many are allowed`);
    },
    part,
    keep(reader, fields) {
      part();
      fields.push(reader.whole());
    },
  };
}
