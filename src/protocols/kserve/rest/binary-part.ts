import { SlipwayError } from '../../../errors/slipway-error.ts';

function invalid(message: string): SlipwayError {
  return new SlipwayError('INVALID_REQUEST', message);
}

/** What follows the JSON of a request: the bytes of its binary tensors, one after the other in the order of the inputs. */
export interface BinaryPart {
  /** The next `size` bytes. @throws SlipwayError INVALID_REQUEST when fewer are left. */
  take(size: number, path: string): Buffer;
  /** @throws SlipwayError INVALID_REQUEST when bytes are left that no tensor takes. */
  end(): void;
}

export function createBinaryPart(bytes: Buffer): BinaryPart {
  let offset = 0;
  return {
    take(size, path) {
      const left = bytes.length - offset;
      if (size > left) {
        const hint = bytes.length === 0 ? ' (is the header Inference-Header-Content-Length missing?)' : '';
        throw invalid(`${path}: binary_data_size is ${size}, but ${left} bytes of binary data are left${hint}.`);
      }
      offset += size;
      return bytes.subarray(offset - size, offset);
    },
    end() {
      if (offset < bytes.length) throw invalid(`The body has ${bytes.length - offset} bytes after its last tensor.`);
    },
  };
}

/** A body cut where its JSON ends. */
export interface SplitBody {
  /** Undefined for a raw body, which is the bytes of one tensor and nothing else. */
  readonly json: Buffer | undefined;
  readonly binary: Buffer;
}

/**
 * Cuts a body by its `Inference-Header-Content-Length`, the bytes of its JSON; without one it is all JSON.
 * @throws SlipwayError INVALID_REQUEST when the header is no length, or more than the body has.
 */
export function splitBody(body: Buffer, headerLength: string | readonly string[] | undefined): SplitBody {
  if (headerLength === undefined) return { json: body, binary: body.subarray(body.length) };
  if (typeof headerLength !== 'string' || !/^[0-9]{1,15}$/.test(headerLength)) {
    throw invalid('The header Inference-Header-Content-Length must be the length of the JSON part in bytes.');
  }
  const length = Number(headerLength);
  if (length > body.length)
    throw invalid(`The header Inference-Header-Content-Length is ${length}, but the body has ${body.length} bytes.`);
  return { json: length === 0 ? undefined : body.subarray(0, length), binary: body.subarray(length) };
}
