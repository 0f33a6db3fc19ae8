import { credentials, makeGenericClientConstructor, Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

export type Message = Record<string, unknown>;

export interface GrpcClient {
  /** One unary call. @throws ServiceError */
  call(
    method: string,
    request: Message,
    options?: {
      readonly deadlineMs?: number;
      readonly metadata?: Record<string, string>;
      /** Called with the trailing metadata before the answer is given. */
      readonly onTrailer?: (trailer: Record<string, unknown>) => void;
    },
  ): Promise<Message>;
  /** Sends all requests on one stream and gathers the responses until the server ends it. */
  stream(method: string, requests: readonly Message[]): Promise<Message[]>;
}

/** A client of one service as its .proto file says it, closed when the test has finished. */
export function grpcClient(address: string, file: string, service: string): GrpcClient {
  const definition = loadSync(file, {
    keepCase: true,
    longs: String,
    bytes: Buffer,
    enums: String,
    defaults: true,
    includeDirs: [PROTO_FOLDER],
  });
  const Client = makeGenericClientConstructor(definition[service] as ServiceDefinition, service);
  const client = new Client(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  return {
    call(method, request, { deadlineMs = 20_000, metadata = {}, onTrailer } = {}) {
      const sent = new Metadata();
      for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
      return new Promise((resolve, reject) => {
        let answered: Message | undefined;
        const call = client[method]!(
          request,
          sent,
          { deadline: Date.now() + deadlineMs },
          (error: ServiceError | null, answer: Message) => {
            if (error === null) answered = answer;
            else reject(error);
          },
        );
        call.on('status', ({ metadata: trailer }: StatusObject) => {
          onTrailer?.(trailer.getMap());
          if (answered !== undefined) resolve(answered);
        });
      });
    },
    stream(method, requests) {
      const answers: Message[] = [];
      return new Promise((resolve, reject) => {
        const call = client[method]!();
        call.on('data', (answer: Message) => answers.push(answer));
        call.on('error', reject);
        call.on('end', () => resolve(answers));
        for (const request of requests) call.write(request);
        call.end();
      });
    },
  };
}
