import { SlipwayError } from '../../errors/slipway-error.ts';
import { type DType, type FixedDType, STORAGE, type TensorData } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { HeldTensor, OperatorAttribute, TensorFlowBinding } from './binding.ts';
import { dtypeOfNumber, TF_DTYPES } from './dtypes.ts';

/*
 * The binding takes and gives few dtypes. The others cross it as bytes or as integers of their width, and TensorFlow's
 * operator Bitcast makes of them what they are, bit by bit.
 */

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Runs an operator on one tensor, which is gone then. */
function convert(binding: TensorFlowBinding, id: number, operator: string, attributes: Readonly<Record<string, number>>): HeldTensor {
  const list = Object.entries(attributes).map(([name, value]): OperatorAttribute => ({ name, type: binding.TF_ATTR_TYPE, value }));
  try {
    return binding.executeOp(operator, list, [id], 1)[0]!;
  } finally {
    binding.deleteTensor(id);
  }
}

/** Hands a tensor to TensorFlow. @returns its id, to be deleted by the caller. */
export function toTensorFlow(binding: TensorFlowBinding, { dtype, shape, data }: Tensor): number {
  const number = TF_DTYPES[dtype];
  switch (dtype) {
    case 'BYTES':
      return binding.createTensor(shape, number, data);
    case 'FP32':
    case 'INT32':
    case 'BOOL':
    case 'UINT8':
      return binding.createTensor(shape, number, data);
    case 'INT64': {
      const { buffer, byteOffset, length } = data as BigInt64Array;
      return binding.createTensor(shape, number, new Int32Array(buffer, byteOffset, 2 * length));
    }
    case 'UINT16':
    case 'UINT32':
    case 'UINT64':
    case 'INT8':
    case 'INT16':
    case 'FP16':
    case 'BF16':
    case 'FP64': {
      const width = STORAGE[dtype].BYTES_PER_ELEMENT;
      const id = binding.createTensor(width === 1 ? shape : [...shape, width], TF_DTYPES.UINT8, bytesOf(data as Float64Array));
      return convert(binding, id, 'Bitcast', { T: TF_DTYPES.UINT8, type: number }).id;
    }
  }
}

/** Numbers of 4 and 8 bytes that the binding gives as they are or as integers of the same width. */
const SAME_WIDTH: Partial<Record<DType, DType>> = { UINT32: 'INT32', FP64: 'INT64', UINT64: 'INT64' };

function dataOf(binding: TensorFlowBinding, { id, dtype: number }: HeldTensor, dtype: FixedDType): TensorData {
  const Storage = STORAGE[dtype];
  const view = ({ buffer, byteOffset, byteLength }: ArrayBufferView): TensorData =>
    new Storage(buffer as ArrayBuffer, byteOffset, byteLength / Storage.BYTES_PER_ELEMENT);
  const read = (held: number): ArrayBufferView => {
    try {
      return binding.tensorDataSync(held) as ArrayBufferView;
    } finally {
      binding.deleteTensor(held);
    }
  };
  const integer = SAME_WIDTH[dtype];
  if (integer !== undefined) return view(read(convert(binding, id, 'Bitcast', { T: number, type: TF_DTYPES[integer] }).id));
  if (Storage.BYTES_PER_ELEMENT > 2 || dtype === 'BOOL') return view(read(id));
  // One and two bytes it gives in no form: each byte as an integer of its own.
  const inBytes = dtype === 'UINT8' ? id : convert(binding, id, 'Bitcast', { T: number, type: TF_DTYPES.UINT8 }).id;
  const integers = read(convert(binding, inBytes, 'Cast', { SrcT: TF_DTYPES.UINT8, DstT: TF_DTYPES.INT32 }).id) as Int32Array;
  return view(Uint8Array.from(integers));
}

/**
 * Copies a tensor out of TensorFlow, which has it no more then.
 * @throws SlipwayError INFERENCE_FAILED when it is none that Slipway can hold.
 */
export function fromTensorFlow(binding: TensorFlowBinding, name: string, held: HeldTensor): Tensor {
  const dtype = dtypeOfNumber(held.dtype);
  const shape = [...held.shape];
  if (dtype === 'BYTES') {
    const data = binding.tensorDataSync(held.id) as Uint8Array[];
    binding.deleteTensor(held.id);
    return { dtype, shape, data };
  }
  if (dtype !== undefined) return { dtype, shape, data: dataOf(binding, held, dtype) };
  binding.deleteTensor(held.id);
  throw new SlipwayError('INFERENCE_FAILED', `The output "${name}" has TensorFlow’s dtype ${held.dtype}, which Slipway has none for.`);
}
