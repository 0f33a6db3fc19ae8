import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { type SlipwayError, toSlipwayError } from '../../errors/slipway-error.ts';
import type { CacheTimes } from '../../inference/response-cache.ts';
import type { Caller, InferenceTimes, OnInference } from '../../inference/types.ts';
import type { Logger } from '../../observability/log.ts';
import type { RequestOrigin, RequestTraces } from '../../observability/tracing.ts';
import { CACHE_HEADER } from '../cache-header.ts';
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

interface OpenCall {
  readonly caller: Caller & { readonly signal: AbortSignal };
  /** Ends the watch for a cancellation, which gRPC also reports of a call that has just been answered. */
  done(): void;
}

/** The name that a call's client has. A peer is an address and a port. */
function clientOf(clients: ClientIdentity, call: AnyCall): string {
  const peer = call.getPeer();
  const headers: Record<string, string> = {};
  for (const name of clients.headers) headers[name] = call.metadata.get(name).join(',');
  return clients.of(peer.slice(0, Math.max(0, peer.lastIndexOf(':'))), headers);
}

function openCall(call: AnyCall, clients: ClientIdentity): OpenCall {
  const controller = new AbortController();
  const onCancelled = (): void => controller.abort();
  if (call.cancelled) controller.abort();
  else call.once('cancelled', onCancelled);
  const deadline = Number(call.getDeadline());
  return {
    caller: {
      client: clientOf(clients, call),
      deadline: deadline === Infinity ? undefined : performance.now() + deadline - Date.now(),
      signal: controller.signal,
    },
    done: () => call.off('cancelled', onCancelled),
  };
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
function originOf(path: string, { metadata }: AnyCall): RequestOrigin {
  const textOf = (key: string): string | undefined => metadata.get(key).join(',') || undefined;
  const operation = path.replace(/^\//, '');
  return {
    operation,
    attributes: { 'rpc.system': 'grpc', 'rpc.method': operation },
    traceparent: textOf('traceparent'),
    tracestate: textOf('tracestate'),
  };
}

/** Answers a request and tells where its time went, if a model answered it. */
async function answerTimed(
  method: BytesMethod,
  request: Buffer,
  caller: OpenCall['caller'],
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

/** A unary call. What the method throws becomes the status of the call; defects are logged. */
export function handleUnary(
  path: string,
  method: BytesMethod,
  { inFlight, clients, logger, onInference, traces }: MethodOptions,
): handleUnaryCall<Buffer, object> {
  async function answer(call: ServerUnaryCall<Buffer, object>, callback: sendUnaryData<object>): Promise<void> {
    inFlight.begin();
    const receivedAt = performance.now();
    const { caller, done } = openCall(call, clients);
    try {
      const { answer: message, cache } = await answerTimed(method, call.request, caller, (inference, decodeMs, encodeMs) => {
        onInference?.(inference, decodeMs, encodeMs);
        traces?.answered(originOf(path, call), inference, decodeMs, encodeMs);
      });
      callback(null, message, cache === undefined ? undefined : trailerOf(cache));
    } catch (error) {
      const coded = codedError(error, path, logger);
      traces?.failed(originOf(path, call), performance.now() - receivedAt, coded);
      callback(encodeStatus(coded));
    } finally {
      done();
      inFlight.end();
    }
  }
  return (call, callback) => void answer(call, callback);
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
    const { caller } = openCall(call, clients);
    const onAnswered: OnInference = (inference, decodeMs, encodeMs) => {
      onInference?.(inference, decodeMs, encodeMs);
      traces?.answered(originOf(path, call), inference, decodeMs, encodeMs);
    };
    // An error is answered inside the stream, which goes on.
    const answerError = (error: unknown, request: Buffer, receivedAt: number): object => {
      const coded = codedError(error, path, logger);
      traces?.failed(originOf(path, call), performance.now() - receivedAt, coded);
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
        call.once('drain', resolve);
        caller.signal.addEventListener('abort', () => resolve(), { once: true });
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
