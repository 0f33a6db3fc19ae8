import type { PackageDefinition } from '@grpc/proto-loader';
import type { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller, InferenceTimes } from '../../inference/types.ts';
import type { Cancellation } from '../../scheduler/types.ts';

/** What a method knows of its call beside the request. */
export interface CallContext extends Caller {
  /** Aborted when the client cancels the call or goes away. */
  readonly signal: Cancellation;
  /** To be called before the answer is encoded, so that the time of that and of decoding is counted. */
  answered(inference: InferenceTimes): void;
}

/**
 * Answers one request. What it throws is answered by the table of gRPC statuses. The type of the request is the
 * method's own to state; it is what the .proto file says, with `keepCase`, 64-bit integers as `Long`, bytes as `Buffer`,
 * and scalars and messages that were not sent left out. A Buffer as the answer is the bytes of its message.
 */
export type Method = (request: never, context: CallContext) => object | Promise<object>;

/** A method of a stream, which goes on when one of its requests fails. */
export interface StreamMethod {
  readonly answer: Method;
  /** The response that tells of an error. @param request its bytes */
  readonly encodeError: (error: SlipwayError, request: Buffer) => object;
}

/** One gRPC service: plain functions by the names of their methods in the .proto file. */
export interface GrpcService {
  /** Full name, e.g. `inference.GRPCInferenceService`. */
  readonly name: string;
  readonly definition: PackageDefinition;
  readonly unary: Readonly<Record<string, Method>>;
  /** Methods that take and give a stream, with one response for each request, in their order. */
  readonly streams?: Readonly<Record<string, StreamMethod>>;
  /** Methods that run a model: their requests count for the quotas of clients, and are refused early while the server is busy. */
  readonly admission?: readonly string[];
  /**
   * Methods that get the bytes of the request and read the message themselves. They may be as large as the server
   * allows; those of the other methods no more than 1 MiB, since decoding can take fifty times as much memory.
   */
  readonly reads?: readonly string[];
}
