import type { GrpcClient, Message } from '../grpc-client.ts';
import type { Outcome, Outputs, Route } from '../route.ts';
import { countOf, type DType, type Element, elementsOf, type Tensor, tensorOf } from '../tensor.ts';

/** Numbers of google.rpc.Code. */
const STATUSES = { invalid_argument: 3, not_found: 5, failed_precondition: 9 };

const CONTENTS: Readonly<Record<DType, string | undefined>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
  FP16: undefined,
};

/** proto-loader takes 64-bit integers as text. */
function plain(tensor: Tensor): unknown[] {
  return elementsOf(tensor).map((element) => (typeof element === 'bigint' ? String(element) : element));
}

function readV2(message: Message): Outputs {
  const { outputs, raw_output_contents: raw } = message as unknown as {
    outputs: { name: string; datatype: DType; shape: string[] }[];
    raw_output_contents: Buffer[];
  };
  if (raw.length !== outputs.length) throw new Error(`${raw.length} raw contents for ${outputs.length} outputs`);
  return new Map(
    outputs.map(({ name, datatype, shape }, index) => [name, { dtype: datatype, shape: shape.map(Number), bytes: raw[index]! }]),
  );
}

export function v2GrpcRoute(client: GrpcClient, form: 'raw' | 'typed'): Route {
  return {
    name: `V2 gRPC, ${form}`,
    protocol: 'v2-grpc',
    says: ['types', 'names', 'shapes'],
    statuses: STATUSES,
    carries: ({ inputs }) => form === 'raw' || inputs.every(([, { dtype }]) => CONTENTS[dtype] !== undefined),
    async send({ model, version, inputs, outputs = [] }): Promise<Outcome> {
      const request = client.encode('inference.ModelInferRequest', {
        model_name: model,
        model_version: version === undefined ? '' : String(version),
        inputs: inputs.map(([name, tensor]) => ({
          name,
          datatype: tensor.dtype,
          shape: tensor.shape,
          ...(form === 'typed' && { contents: { [CONTENTS[tensor.dtype]!]: plain(tensor) } }),
        })),
        outputs: outputs.map((name) => ({ name })),
        ...(form === 'raw' && { raw_input_contents: inputs.map(([, { bytes }]) => bytes) }),
      });
      const answer = await client.call('/inference.GRPCInferenceService/ModelInfer', request);
      return 'status' in answer ? answer : { outputs: readV2(client.decode('inference.ModelInferResponse', answer.message)) };
    },
  };
}

const DATA_TYPES: Readonly<Record<DType, readonly [name: string, values: string]>> = {
  BOOL: ['DT_BOOL', 'bool_val'],
  INT8: ['DT_INT8', 'int_val'],
  INT16: ['DT_INT16', 'int_val'],
  INT32: ['DT_INT32', 'int_val'],
  INT64: ['DT_INT64', 'int64_val'],
  UINT8: ['DT_UINT8', 'int_val'],
  UINT16: ['DT_UINT16', 'int_val'],
  UINT32: ['DT_UINT32', 'uint32_val'],
  UINT64: ['DT_UINT64', 'uint64_val'],
  FP16: ['DT_HALF', 'half_val'],
  FP32: ['DT_FLOAT', 'float_val'],
  FP64: ['DT_DOUBLE', 'double_val'],
  BYTES: ['DT_STRING', 'string_val'],
};

/** Halves travel as their bits. */
function valuesOf(tensor: Tensor): unknown[] {
  return tensor.dtype === 'FP16' ? plain({ ...tensor, dtype: 'UINT16' }) : plain(tensor);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) return Buffer.from(bytes);
  }
}

/** Texts lie in memory with the lengths of all in front (tensorflow/core/lib/core/coding.h). */
function contentOf(tensor: Tensor): Buffer {
  if (tensor.dtype !== 'BYTES') return tensor.bytes;
  const elements = elementsOf(tensor) as Buffer[];
  return Buffer.concat([...elements.map(({ length }) => varint(length)), ...elements]);
}

interface TensorProto extends Message {
  readonly dtype: string;
  readonly tensor_shape: { readonly dim: readonly { readonly size: string }[] };
  readonly tensor_content: Buffer;
}

function readProto(proto: TensorProto): Tensor {
  const found = Object.entries(DATA_TYPES).find(([, [name]]) => name === proto.dtype);
  if (found === undefined) throw new Error(`the dtype ${proto.dtype}`);
  const dtype = found[0] as DType;
  const shape = proto.tensor_shape.dim.map(({ size }) => Number(size));
  if (dtype !== 'BYTES' && proto.tensor_content.length > 0) return { dtype, shape, bytes: proto.tensor_content };
  const values = proto[found[1][1]] as (boolean | number | string | Buffer)[];
  const count = countOf(shape);
  if (values.length !== count) throw new Error(`${values.length} values of the shape [${shape.join(', ')}]`);
  if (dtype === 'FP16') return { ...tensorOf('UINT16', shape, values as number[]), dtype };
  const isBig = dtype === 'INT64' || dtype === 'UINT64';
  return tensorOf(
    dtype,
    shape,
    values.map((value): Element => (isBig ? BigInt(value as string) : (value as Element))),
  );
}

export function tensorFlowGrpcRoute(client: GrpcClient, form: 'values' | 'content'): Route {
  return {
    name: `TensorFlow Serving gRPC, ${form}`,
    protocol: 'tensorflow-grpc',
    says: ['types', 'names', 'shapes'],
    statuses: STATUSES,
    carries: () => true,
    async send({ model, version, inputs, outputs = [] }): Promise<Outcome> {
      const tensors = inputs.map(([name, tensor]) => {
        const [dtype, field] = DATA_TYPES[tensor.dtype];
        const tensor_shape = { dim: tensor.shape.map((size) => ({ size })) };
        const data = form === 'values' ? { [field]: valuesOf(tensor) } : { tensor_content: contentOf(tensor) };
        return [name, { dtype, tensor_shape, ...data }];
      });
      const request = client.encode('tensorflow.serving.PredictRequest', {
        model_spec: { name: model, ...(version !== undefined && { version: { value: version } }) },
        inputs: Object.fromEntries(tensors),
        output_filter: outputs,
      });
      const answer = await client.call('/tensorflow.serving.PredictionService/Predict', request);
      if ('status' in answer) return answer;
      const { outputs: given } = client.decode('tensorflow.serving.PredictResponse', answer.message);
      return { outputs: new Map(Object.entries(given as Record<string, TensorProto>).map(([name, proto]) => [name, readProto(proto)])) };
    },
  };
}
