import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
} from '@grpc/grpc-js';
import { type SlipwayError, toSlipwayError } from '../../errors/slipway-error.ts';
import type { CacheTimes } from '../../inference/response-cache.ts';
import type { Caller, InferenceTimes, OnInference, RequestHead } from '../../inference/types.ts';
import type { Logger } from '../../observability/log.ts';
import type { RequestOrigin, RequestTraces } from '../../observability/tracing.ts';
import { CACHE_HEADER } from '../cache-header.ts';
import { type Cancelling, createCancellation } from '../cancellation.ts';
import type { ClientIdentity } from '../client-identity.ts';
import type { CallContext, StreamMethod } from './service.ts';
import { encodeStatus } from './status.ts';

/** A method of a service that reads its request. */
export type BytesMethod = (request: Buffer, context: CallContext) => object | Promise<object>;

/** Counts requests that are being answered. */
export interface InFlight {
  begin(): void;
  end(): void;
}

/** Requests of one stream that are worked on at once; the client is slowed down beyond. */
const STREAM_CONCURRENCY = 32;

type AnyCall = ServerUnaryCall<Buffer, object> | ServerDuplexStream<Buffer, object>;

/** What a call says before its first message. */
export interface CallHead extends RequestHead {
  /** Address of the other end of the connection, without its port. */
  readonly address: string;
  /** Moment by which the answer must be there, on the `performance.now()` clock; undefined when the client does not say. */
  readonly deadline: number | undefined;
}

type CallCaller = Caller & Pick<CallContext, 'signal'>;

function headOf(call: AnyCall): CallHead {
  const peer = call.getPeer();
  const deadline = Number(call.getDeadline());
  return {
    address: peer.slice(0, Math.max(0, peer.lastIndexOf(':'))),
    deadline: deadline === Infinity ? undefined : performance.now() + deadline - Date.now(),
    header: (name) => call.metadata.get(name).join(',') || undefined,
  };
}

/** Aborted when a call of grpc-js is cancelled, which it also reports of one that has just been answered. */
function cancellationOf(call: AnyCall): Cancelling {
  const cancellation = createCancellation();
  if (call.cancelled) cancellation.abort();
  else call.once('cancelled', cancellation.abort);
  return cancellation;
}

function callerOf(clients: ClientIdentity, head: CallHead, signal: CallContext['signal']): CallCaller {
  const headers: Record<string, string> = {};
  for (const name of clients.headers) headers[name] = head.header(name) ?? '';
  return { client: clients.of(head.address, headers), deadline: head.deadline, signal, head };
}

/** What the methods of a server share. */
export interface MethodOptions {
  readonly inFlight: InFlight;
  readonly clients: ClientIdentity;
  readonly logger: Logger;
  readonly onInference?: OnInference | undefined;
  readonly traces?: RequestTraces | undefined;
}

/** The metadata of a stream is that of all its requests. */
function originOf(path: string, head: CallHead): RequestOrigin {
  const operation = path.replace(/^\//, '');
  return {
    operation,
    attributes: { 'rpc.system': 'grpc', 'rpc.method': operation },
    traceparent: head.header('traceparent'),
    tracestate: head.header('tracestate'),
  };
}

/** Answers a request and tells where its time went, if a model answered it. */
async function answerTimed(
  method: BytesMethod,
  request: Buffer,
  caller: CallCaller,
  onAnswered: OnInference,
): Promise<{ readonly answer: object; readonly cache: CacheTimes | undefined }> {
  const receivedAt = performance.now();
  let inference: InferenceTimes | undefined;
  const answered = (times: InferenceTimes): void => void (inference = times);
  const answer = await method(request, { ...caller, answered });
  if (inference !== undefined) {
    const { startedAt, totalMs } = inference.times;
    onAnswered(inference, startedAt - receivedAt, performance.now() - startedAt - totalMs);
  }
  return { answer, cache: inference?.times.cache };
}

function trailerOf({ outcome }: CacheTimes): Metadata {
  const trailer = new Metadata();
  trailer.set(CACHE_HEADER, outcome);
  return trailer;
}

/** What a method threw as a coded error; defects are logged. */
function codedError(error: unknown, path: string, logger: Logger): SlipwayError {
  const coded = toSlipwayError(error);
  if (coded.kind === 'internal') logger.error({ err: coded.cause ?? coded, method: path }, coded.message);
  return coded;
}

/** How a unary call ends: with the status of a failure, or with its message. */
export type Reply = (failure: Partial<StatusObject> | null, message?: object, trailer?: Metadata) => void;

/** Answers the message of a unary call; `reply` is called once, unless the client has gone. */
export type AnswerUnary = (request: Buffer, head: CallHead, signal: CallContext['signal'], reply: Reply) => Promise<void>;

/** Unary calls, whatever they come over. What the method throws becomes the status of the call; defects are logged. */
export function answerUnary(
  path: string,
  method: BytesMethod,
  { inFlight, clients, logger, onInference, traces }: MethodOptions,
): AnswerUnary {
  return async (request, head, signal, reply) => {
    inFlight.begin();
    const receivedAt = performance.now();
    try {
      const { answer, cache } = await answerTimed(method, request, callerOf(clients, head, signal), (inference, decodeMs, encodeMs) => {
        onInference?.(inference, decodeMs, encodeMs);
        traces?.answered(originOf(path, head), inference, decodeMs, encodeMs);
      });
      reply(null, answer, cache === undefined ? undefined : trailerOf(cache));
    } catch (error) {
      const coded = codedError(error, path, logger);
      traces?.failed(originOf(path, head), performance.now() - receivedAt, coded);
      reply(encodeStatus(coded));
    } finally {
      inFlight.end();
    }
  };
}

/** A unary call as grpc-js hands it over. */
export function handleUnary(answer: AnswerUnary): handleUnaryCall<Buffer, object> {
  return (call, callback) => {
    const cancellation = cancellationOf(call);
    void answer(call.request, headOf(call), cancellation, (failure, message, trailer) => {
      call.off('cancelled', cancellation.abort);
      callback(failure, message, trailer);
    });
  };
}

/**
 * A stream in which each request has one response. Requests are worked on side by side; responses keep their order. The
 * client is not read from while too many requests wait, or while it does not read its responses.
 */
export function handleStream(
  path: string,
  { answer: method, encodeError }: { readonly answer: BytesMethod; readonly encodeError: StreamMethod['encodeError'] },
  { inFlight, clients, logger, onInference, traces }: MethodOptions,
): handleBidiStreamingCall<Buffer, object> {
  return (call) => {
    const head = headOf(call);
    const cancellation = cancellationOf(call);
    const caller = callerOf(clients, head, cancellation);
    const onAnswered: OnInference = (inference, decodeMs, encodeMs) => {
      onInference?.(inference, decodeMs, encodeMs);
      traces?.answered(originOf(path, head), inference, decodeMs, encodeMs);
    };
    // An error is answered inside the stream, which goes on.
    const answerError = (error: unknown, request: Buffer, receivedAt: number): object => {
      const coded = codedError(error, path, logger);
      traces?.failed(originOf(path, head), performance.now() - receivedAt, coded);
      return encodeError(coded, request);
    };
    let waiting = 0;
    let blocked: Promise<void> | undefined;
    let last: Promise<void> = Promise.resolve();

    async function respond(answer: Promise<object>): Promise<void> {
      const message = await answer;
      await blocked;
      if (call.cancelled || call.destroyed) return;
      if (call.write(message)) return;
      blocked = new Promise((resolve) => {
        const go = (): void => {
          cancellation.removeEventListener('abort', go);
          resolve();
        };
        call.once('drain', go);
        cancellation.addEventListener('abort', go, { once: true });
      });
    }

    call.on('data', (request: Buffer) => {
      inFlight.begin();
      waiting += 1;
      if (waiting === STREAM_CONCURRENCY) call.pause();
      // Begun at once, so that requests overlap; its rejection is handled where it is waited for, in order.
      const receivedAt = performance.now();
      const answer = answerTimed(method, request, caller, onAnswered).then(
        (answered) => answered.answer,
        (error: unknown) => answerError(error, request, receivedAt),
      );
      answer.catch(() => undefined);
      last = last
        .then(() => respond(answer))
        .catch((error: unknown) => {
          logger.error({ err: error, method: path }, 'a stream failed');
          call.destroy(Object.assign(new Error('Internal error.'), encodeStatus(toSlipwayError(error))));
        })
        .finally(() => {
          inFlight.end();
          waiting -= 1;
          if (waiting < STREAM_CONCURRENCY && call.isPaused()) call.resume();
        });
    });
    call.on('end', () => {
      void last.then(() => call.end());
    });
    // A client that goes away; its requests are aborted by the signal.
    call.on('error', () => undefined);
  };
}
