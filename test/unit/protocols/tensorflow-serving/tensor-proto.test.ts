import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../../src/errors/slipway-error.ts';
import { decodeTensorProto, encodeTensorProto } from '../../../../src/protocols/tensorflow-serving/grpc/tensor-proto.ts';
import { WireWriter } from '../../../../src/protobuf/wire-writer.ts';
import { encodeBinaryTensor } from '../../../../src/tensor/binary.ts';
import { DATA_TYPE } from '../../../../src/protocols/tensorflow-serving/data-type.ts';
import { arbitraryTensor, elementsOf } from '../../tensor/arbitrary-tensor.ts';

const LIMIT = 1_000_000;

describe('TensorProto', () => {
  it('gives back every tensor from its typed values', () => {
    fc.assert(
      fc.property(arbitraryTensor({ finite: false }), (tensor) => {
        const read = decodeTensorProto(encodeTensorProto(tensor).finish(), 'x', LIMIT);
        expect({ dtype: read.dtype, shape: read.shape }).toEqual({ dtype: tensor.dtype, shape: tensor.shape });
        expect(elementsOf(read)).toEqual(elementsOf(tensor));
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives back every tensor from tensor_content', () => {
    fc.assert(
      fc.property(
        arbitraryTensor({ finite: false }).filter(({ dtype }) => dtype !== 'BYTES'),
        (tensor) => {
          const shape = new WireWriter();
          for (const size of tensor.shape) shape.message(2, new WireWriter().int(1, size));
          const message = new WireWriter().int(1, DATA_TYPE[tensor.dtype].number).message(2, shape).bytes(4, encodeBinaryTensor(tensor));
          const read = decodeTensorProto(message.finish(), 'x', LIMIT);
          expect(read.shape).toEqual(tensor.shape);
          expect(elementsOf(read)).toEqual(elementsOf(tensor));
        },
      ),
    );
  });

  it('refuses any bytes that are no tensor with a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeTensorProto(Buffer.from(bytes), 'x', LIMIT);
        } catch (error) {
          expect(error).toBeInstanceOf(SlipwayError);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
