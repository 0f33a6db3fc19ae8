import type { Span, SpanContext, SpanOptions, SpanStatusCode, TimeInput, Tracer } from '@opentelemetry/api';
import type { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import { messageOf, type SlipwayError } from '../errors/slipway-error.ts';
import type { Logger } from './log.ts';

/** Where a request came from. */
export interface RequestOrigin {
  /** A route such as `POST /predict`, or a method such as `inference.GRPCInferenceService/ModelInfer`. */
  readonly operation: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** W3C Trace Context, as it came; what is malformed begins a trace of its own. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** Whose answer it is, and where its time went; see `InferenceTimes`. */
export interface TracedAnswer {
  readonly model: string;
  readonly version: number;
  readonly times: {
    readonly startedAt: number;
    readonly queueMs: number;
    readonly computeMs: number;
    readonly totalMs: number;
    readonly cache?: { readonly outcome: string; readonly ms: number } | undefined;
  };
  readonly run: { readonly rows: number; readonly batch?: object | undefined };
}

/** Told of each request when it has ended; its spans are written then, so that a request in flight costs nothing. */
export interface RequestTraces {
  answered(origin: RequestOrigin, answer: TracedAnswer, decodeMs: number, encodeMs: number): void;
  /** A request that got an error, `elapsedMs` after it had come. */
  failed(origin: RequestOrigin, elapsedMs: number, error: SlipwayError): void;
}

export interface Tracing extends RequestTraces {
  /** Loads OpenTelemetry, which takes some 90 ms and 18 MB. Requests that end before are not told of. */
  start(): Promise<void>;
  /** Sends what is left, but does not wait for longer than a moment. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  /** Full URL of the collector's OTLP/HTTP route for traces. */
  readonly url: string;
  readonly serviceName: string;
  /** Share of the traces that begin here that are sent, 0 to 1; those that come with a request are as the request says. */
  readonly sampleRatio: number;
  /** Slipway's own. */
  readonly version: string;
  readonly logger: Logger;
}

/** Spans that wait to be sent; further ones are dropped, so that a collector that is away costs no more memory. */
const MAX_QUEUED_SPANS = 8_192;
const SEND_AFTER_MS = 1_000;
const SEND_TIMEOUT_MS = 5_000;
/** A collector that does not answer must not hold up the end of the server. */
const STOP_TIMEOUT_MS = 2_000;

/** The collector's URL by the settings or else by OpenTelemetry's own variables; undefined when none is named. */
export function tracesUrl(endpoint: string | undefined, env: Readonly<NodeJS.ProcessEnv>): string | undefined {
  if (endpoint === undefined && env['OTEL_SDK_DISABLED'] === 'true') return undefined;
  const base = endpoint ?? env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const full = endpoint === undefined ? env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] : undefined;
  if (full !== undefined && full !== '') return full;
  return base === undefined || base === '' ? undefined : `${base.replace(/\/+$/, '')}/v1/traces`;
}

/** Says once that the collector is away, and once that it is back. */
function telling(exporter: SpanExporter, success: ExportResultCode, url: string, logger: Logger): SpanExporter {
  let away = false;
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== success;
        if (failed && !away) logger.warn({ url, reason: messageOf(result.error) }, 'traces could not be sent; they are dropped');
        if (!failed && away) logger.info({ url }, 'traces are sent again');
        away = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

/** Moments on the `performance.now()` clock as OpenTelemetry takes them: milliseconds since 1970. */
function moment(at: number): TimeInput {
  return performance.timeOrigin + at;
}

/** Writes a trace of each request by OTLP over HTTP. A collector that is slow or away never holds up a request. */
export function createTracing({ url, serviceName, sampleRatio, version, logger }: TracingOptions): Tracing {
  let provider: TracerProvider | undefined;
  let errorStatus: SpanStatusCode;
  let begin:
    | ((
        origin: RequestOrigin,
        startedAt: number,
      ) => { readonly span: Span; child(name: string, from: number, ms: number, options?: SpanOptions): Span })
    | undefined;

  /** Of each batch the compute span that was written first; the others are linked to it. */
  const firstOfBatches = new WeakMap<object, SpanContext>();

  function linksOf(batch: object | undefined): { context: SpanContext }[] {
    const context = batch === undefined ? undefined : firstOfBatches.get(batch);
    return context === undefined ? [] : [{ context }];
  }

  return {
    async start() {
      const [api, core, { OTLPTraceExporter }, { resourceFromAttributes }, sdk] = await Promise.all([
        import('@opentelemetry/api'),
        import('@opentelemetry/core'),
        import('@opentelemetry/exporter-trace-otlp-http'),
        import('@opentelemetry/resources'),
        import('@opentelemetry/sdk-trace'),
      ]);
      const exporter = new OTLPTraceExporter({ url, timeoutMillis: SEND_TIMEOUT_MS });
      provider = new sdk.TracerProvider({
        resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
        sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(sampleRatio) }),
        spanProcessors: [
          new sdk.BatchSpanProcessor({
            exporter: telling(exporter, core.ExportResultCode.SUCCESS, url, logger),
            maxQueueSize: MAX_QUEUED_SPANS,
            scheduledDelayMillis: SEND_AFTER_MS,
            exportTimeoutMillis: SEND_TIMEOUT_MS,
          }),
        ],
      });
      errorStatus = api.SpanStatusCode.ERROR;
      const tracer: Tracer = provider.getTracer('slipway', version);
      const propagator = new core.W3CTraceContextPropagator();
      begin = ({ operation, attributes, traceparent, tracestate }, startedAt) => {
        const parent = propagator.extract(api.ROOT_CONTEXT, { traceparent, tracestate }, api.defaultTextMapGetter);
        const span = tracer.startSpan(operation, { kind: api.SpanKind.SERVER, startTime: moment(startedAt), attributes }, parent);
        const inside = api.trace.setSpan(parent, span);
        return {
          span,
          child(name, from, ms, options) {
            const part = tracer.startSpan(name, { ...options, startTime: moment(from) }, inside);
            part.end(moment(from + Math.max(0, ms)));
            return part;
          },
        };
      };
    },
    answered(origin, { model, version: answering, times, run: { rows, batch } }, decodeMs, encodeMs) {
      if (begin === undefined) return;
      const { startedAt, queueMs, computeMs, totalMs, cache } = times;
      const { span, child } = begin(origin, startedAt - decodeMs);
      const endedAt = startedAt + totalMs + encodeMs;
      if (span.isRecording()) {
        span.setAttributes({ 'slipway.model.name': model, 'slipway.model.version': answering });
        child('decode', startedAt - decodeMs, decodeMs);
        if (cache !== undefined) {
          span.setAttribute('slipway.cache', cache.outcome);
          child('cache', startedAt, cache.ms);
        }
        if (cache === undefined || cache.outcome === 'miss') {
          child('queue', startedAt, queueMs);
          const sentAt = startedAt + queueMs;
          child('run', sentAt, totalMs - queueMs);
          // The way to the runner and back is known as one time: half of it is taken for each.
          const compute = child('compute', sentAt + Math.max(0, totalMs - queueMs - computeMs) / 2, computeMs, {
            attributes: { 'slipway.batch.rows': rows },
            links: linksOf(batch),
          });
          if (batch !== undefined && !firstOfBatches.has(batch)) firstOfBatches.set(batch, compute.spanContext());
        }
        child('encode', startedAt + totalMs, encodeMs);
      }
      span.end(moment(endedAt));
    },
    failed(origin, elapsedMs, error) {
      if (begin === undefined) return;
      const endedAt = performance.now();
      const { span } = begin(origin, endedAt - elapsedMs);
      span.setAttribute('error.type', error.code).setStatus({ code: errorStatus, message: error.message });
      span.end(moment(endedAt));
    },
    async stop() {
      begin = undefined;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, STOP_TIMEOUT_MS)));
      await Promise.race([provider?.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}
