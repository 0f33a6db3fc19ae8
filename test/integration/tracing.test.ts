import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createTracing, tracesUrl } from '../../src/observability/tracing.ts';
import { freePort } from '../helpers/free-port.ts';
import { grpcClient } from '../helpers/grpc.ts';
import { post } from '../helpers/http.ts';
import { runningServer } from '../helpers/running-server.ts';
import { startProcess } from '../helpers/started-process.ts';

/** A span as OTLP/HTTP sends it in JSON (opentelemetry-proto, trace/v1), with plain attributes. */
interface CollectedSpan {
  readonly name: string;
  /** 2 is a server's. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly service: unknown;
}

type Attributes = { key: string; value: Record<string, unknown> }[];

interface Export {
  readonly resourceSpans: {
    resource: { attributes: Attributes };
    scopeSpans: { spans: (Omit<CollectedSpan, 'attributes' | 'service'> & { attributes: Attributes })[] }[];
  }[];
}

const plain = (attributes: Attributes): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

/** A collector on a free port that keeps what comes. */
async function collector(): Promise<{ readonly endpoint: string; readonly spans: CollectedSpan[] }> {
  const spans: CollectedSpan[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export;
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = plain(resource.attributes)['service.name'];
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ ...span, attributes: plain(span.attributes), service });
      }
      response.writeHead(request.url === '/v1/traces' ? 200 : 404, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => server.close().closeAllConnections());
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}

const tracing = (endpoint: string, sampleRatio = 1) => ({ observability: { tracing: { endpoint, sampleRatio } } });
const TRACE = 'a'.repeat(32);
const PARENT = 'b'.repeat(16);
const BODY = '{"model":"times-three","inputs":[1]}';
const V2 = { model_name: 'times-three', inputs: [{ name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } }] };

function predict(address: string, body: string, traceparent?: string): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...(traceparent !== undefined && { traceparent }) };
  return fetch(`${address}/predict`, { method: 'POST', body, headers });
}

describe('traces', () => {
  it('go on from a client over HTTP and gRPC, tell the phases, and are all sent before the server ends', async () => {
    const { endpoint, spans } = await collector();
    const { server, address } = await runningServer(['times-three'], tracing(endpoint));
    expect((await predict(address, BODY, `00-${TRACE}-${PARENT}-01`)).status).toBe(200);
    const client = grpcClient(server.addresses.at(-1)!, 'inference.proto', 'inference.GRPCInferenceService');
    await client.call('ModelInfer', V2, { metadata: { traceparent: `00-${'c'.repeat(32)}-${PARENT}-01` } });
    await server.stop();

    const of = (traceId: string): CollectedSpan[] => spans.filter((span) => span.traceId === traceId);
    const [request, ...parts] = of(TRACE).toSorted((a, b) => Number(b.kind === 2) - Number(a.kind === 2));
    expect(request).toMatchObject({
      name: 'POST /predict',
      parentSpanId: PARENT,
      service: 'slipway',
      attributes: { 'http.route': '/predict', 'slipway.model.name': 'times-three', 'slipway.model.version': 1 },
    });
    expect(parts.map(({ name }) => name).toSorted()).toEqual(['compute', 'decode', 'encode', 'queue', 'run']);
    for (const part of parts) {
      expect(part.parentSpanId).toBe(request!.spanId);
      expect(BigInt(part.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(request!.startTimeUnixNano) - 1_000n);
      expect(BigInt(part.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(request!.endTimeUnixNano) + 1_000n);
    }
    expect(of('c'.repeat(32)).map(({ name }) => name)).toContain('inference.GRPCInferenceService/ModelInfer');
  });

  it('are linked where requests ran in one batch', async () => {
    const { endpoint, spans } = await collector();
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const traces = createTracing({ url: `${endpoint}/v1/traces`, serviceName: 'slipway', sampleRatio: 1, version: '0.0.0', logger });
    await traces.start();
    const batch = {};
    const times = { startedAt: performance.now(), queueMs: 1, computeMs: 1, totalMs: 3 };
    const answered = (traceId: string, run: { rows: number; batch?: object }): void => {
      const origin = { operation: 'POST /predict', attributes: {}, traceparent: `00-${traceId}-${PARENT}-01`, tracestate: undefined };
      traces.answered(origin, { model: 'm', version: 1, times, run }, 1, 1);
    };
    const [first, second, third, alone] = ['1', '2', '3', '4'].map((digit) => digit.repeat(32)) as [string, string, string, string];
    for (const traceId of [first, second, third]) answered(traceId, { rows: 3, batch });
    answered(alone, { rows: 1 });
    await traces.stop();
    const computeOf = (traceId: string): CollectedSpan => spans.find((span) => span.name === 'compute' && span.traceId === traceId)!;
    expect(computeOf(first).links ?? []).toEqual([]);
    for (const traceId of [second, third]) {
      expect(computeOf(traceId).links).toMatchObject([{ traceId: first, spanId: computeOf(first).spanId }]);
      expect(computeOf(traceId).attributes['slipway.batch.rows']).toBe(3);
    }
    expect(computeOf(alone).links ?? []).toEqual([]);
  });

  it('tell the code of an error, and of an answer from the response cache that nothing ran', async () => {
    const { endpoint, spans } = await collector();
    const { server, address } = await runningServer(['times-three'], { ...tracing(endpoint), responseCache: { maxBytes: 10_000 } });
    await predict(address, '{"model":"nowhere","inputs":[1]}', `00-${TRACE}-${PARENT}-01`);
    await predict(address, BODY);
    await predict(address, BODY, `00-${'d'.repeat(32)}-${PARENT}-01`);
    await expect(
      grpcClient(server.addresses.at(-1)!, 'inference.proto', 'inference.GRPCInferenceService').call('ModelInfer', {
        ...V2,
        model_name: 'nowhere',
      }),
    ).rejects.toThrow('nowhere');
    await server.stop();
    const failed = spans.filter(({ status }) => status.code === 2);
    expect(failed.map(({ name }) => name).toSorted()).toEqual(['POST /predict', 'inference.GRPCInferenceService/ModelInfer']);
    for (const span of failed) {
      expect(span.attributes['error.type']).toBe('MODEL_NOT_FOUND');
      expect(BigInt(span.endTimeUnixNano) > BigInt(span.startTimeUnixNano), span.name).toBe(true);
    }
    const cached = spans.filter(({ traceId }) => traceId === 'd'.repeat(32));
    expect(cached.map(({ name }) => name).toSorted()).toEqual(['POST /predict', 'cache', 'decode', 'encode']);
  });

  it('are sent of a share of the requests, and as the trace says that a request comes with', async () => {
    const { endpoint, spans } = await collector();
    const { server, address } = await runningServer(['times-three'], tracing(endpoint, 0));
    await predict(address, BODY);
    await predict(address, BODY, `00-${'e'.repeat(32)}-${PARENT}-00`);
    await predict(address, BODY, 'rubbish');
    await predict(address, BODY, `00-${TRACE}-${PARENT}-01`);
    await server.stop();
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  });

  it('hurt nothing when the collector is away: requests are answered and the server ends', async () => {
    const started = await startProcess(['times-three'], {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`, OTEL_SERVICE_NAME: 'mine' },
    });
    await started.lineWith('ready:');
    const address = await started.address();
    expect((await post(address, '/predict', BODY)).status).toBe(200);
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
  });

  it('go where the standard variables say, under the name that these say', async () => {
    const { endpoint, spans } = await collector();
    const started = await startProcess(['times-three'], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: 'mine' } });
    await started.lineWith('ready:');
    expect((await post(await started.address(), '/predict', BODY)).status).toBe(200);
    await vi.waitFor(() => expect(spans.find(({ name }) => name === 'POST /predict')?.service).toBe('mine'), { timeout: 20_000 });
  });
});

describe('tracesUrl', () => {
  it('takes the setting before the variables, and the whole URL before the address', () => {
    expect(tracesUrl(undefined, {})).toBeUndefined();
    expect(tracesUrl(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1/' })).toBe('http://a:1/v1/traces');
    expect(tracesUrl(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b:2/x' })).toBe(
      'http://b:2/x',
    );
    expect(tracesUrl('http://c:3', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b:2/x', OTEL_SDK_DISABLED: 'true' })).toBe(
      'http://c:3/v1/traces',
    );
    expect(tracesUrl(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1', OTEL_SDK_DISABLED: 'true' })).toBeUndefined();
  });
});
