import { credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';

const PROTO_FOLDER = fileURLToPath(new URL('../../../proto', import.meta.url));
/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 20_000;

export type Message = Record<string, unknown>;
export type GrpcAnswer = { readonly message: Buffer } | { readonly status: number; readonly message: string };

export interface GrpcClient {
  encode(type: string, message: Message): Buffer;
  decode(type: string, bytes: Buffer): Message;
  /** One unary call with the bytes of its request. */
  call(path: string, request: Buffer): Promise<GrpcAnswer>;
  close(): void;
}

function load(): PackageDefinition {
  const options = { keepCase: true, longs: String, bytes: Buffer, enums: String, defaults: true, includeDirs: [PROTO_FOLDER] };
  return { ...loadSync('inference.proto', options), ...loadSync('tensorflow_serving.proto', options) };
}

const asItIs = (bytes: Buffer): Buffer => bytes;

export function createGrpcClient(address: string): GrpcClient {
  const definitions = load();
  const typeOf = (name: string): MessageTypeDefinition<Message, Message> => definitions[name] as MessageTypeDefinition<Message, Message>;
  const client = new (makeGenericClientConstructor({}, ''))(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  });
  return {
    encode: (type, message) => typeOf(type).serialize(message),
    decode: (type, bytes) => typeOf(type).deserialize(bytes),
    call: (path, request) =>
      new Promise((resolve) => {
        const options = { deadline: Date.now() + ANSWER_MS };
        client.makeUnaryRequest(path, asItIs, asItIs, request, options, (error: ServiceError | null, message?: Buffer) => {
          if (error === null) resolve({ message: message! });
          else resolve({ status: error.code, message: error.details });
        });
      }),
    close: () => client.close(),
  };
}
