import { fileURLToPath } from 'node:url';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/** The .proto files lie beside src, and beside dist once compiled. */
const PROTO_FOLDER = fileURLToPath(new URL('../../../proto', import.meta.url));

/**
 * Loads a .proto file of Slipway. Repeated fields and maps that were not sent are empty; 64-bit integers stay `Long`,
 * since making text or a bigint of each costs more than reading the message.
 */
export function loadProto(file: string): PackageDefinition {
  return loadSync(file, { keepCase: true, arrays: true, objects: true, includeDirs: [PROTO_FOLDER] });
}
