import { z } from 'zod';
import { ERROR_KINDS } from '../../errors/catalogue.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { BodyDefinition, HttpProtocol, ResponseDefinition, RouteDefinition } from '../http/route.ts';
import { ERROR_EXAMPLES } from './error-examples.ts';

type Json = { [key: string]: unknown };

/** Collects the schemas that have an id as components, and refers to them. */
function createSchemaWriter(): { components: Json; write(schema: z.ZodType, io: 'input' | 'output'): Json } {
  const components: Json = {};

  function rewrite(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(rewrite);
    if (typeof value !== 'object' || value === null) return value;
    const written: Json = {};
    for (const [key, each] of Object.entries(value)) {
      if (key === '$defs') {
        for (const [id, definition] of Object.entries(each as Json)) components[id] = rewrite(definition);
      } else if (key === '$ref' && typeof each === 'string') written[key] = each.replace('#/$defs/', '#/components/schemas/');
      else if (key !== '$schema' && key !== 'id') written[key] = rewrite(each);
      else if (key === 'id' && typeof each !== 'string') written[key] = rewrite(each);
    }
    return written;
  }

  return {
    components,
    write(schema, io) {
      const written = rewrite(z.toJSONSchema(schema, { io, target: 'draft-2020-12', unrepresentable: 'any' })) as Json;
      const id = schema.meta()?.id;
      if (id === undefined || '$ref' in written) return written;
      components[id] = written;
      return { $ref: `#/components/schemas/${id}` };
    },
  };
}

type SchemaWriter = ReturnType<typeof createSchemaWriter>;

function parametersOf(route: RouteDefinition, writer: SchemaWriter): Json[] {
  const parameters: Json[] = [];
  for (const [place, schema] of [
    ['path', route.params],
    ['query', route.query],
    ['header', route.headers],
  ] as const) {
    if (schema === undefined) continue;
    const { properties = {}, required = [] } = writer.write(schema, 'input') as { properties?: Json; required?: string[] };
    for (const [name, property] of Object.entries(properties)) {
      const { description, example, ...rest } = property as Json;
      parameters.push({
        name,
        in: place,
        required: required.includes(name),
        ...(description !== undefined && { description }),
        schema: rest,
        ...(example !== undefined && { example }),
      });
    }
  }
  return parameters;
}

function requestBodyOf(body: BodyDefinition, writer: SchemaWriter): Json {
  const content: Json = {};
  for (const [type, { schema, description, example }] of Object.entries(body.content)) {
    content[type] = {
      schema:
        schema === undefined ? { type: 'string', format: 'binary', ...(description && { description }) } : writer.write(schema, 'input'),
      ...(example !== undefined && { example }),
    };
  }
  return { required: body.required ?? false, content };
}

function responseOf(response: ResponseDefinition, writer: SchemaWriter): Json {
  const { description, schema, contentType, example, alsoBinary = false, headers } = response;
  const types = contentType ?? (schema === undefined ? undefined : 'application/json');
  const content = {
    // Without a schema it is any content of its type; OpenAPI 3.1 describes bytes so.
    ...(schema && { schema: writer.write(schema, 'output') }),
    ...(example !== undefined && { example }),
  };
  return {
    description,
    ...(headers && {
      headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' } }])),
    }),
    ...(types !== undefined && {
      content: {
        ...Object.fromEntries([types].flat().map((type) => [type, content])),
        ...(alsoBinary && { 'application/octet-stream': {} }),
      },
    }),
  };
}

function errorResponse(status: number, protocol: HttpProtocol, writer: SchemaWriter): Json {
  const { statuses, schema } = protocol.error;
  const kinds = ERROR_KINDS.filter((kind) => statuses[kind] === status);
  const [code, message] = kinds.map((kind) => ERROR_EXAMPLES[kind]).find((example) => example !== undefined) ?? [];
  // The protocol itself writes the example, so that it has the shape of its errors.
  const request = { requestId: 'f609a4d3d26d-12', method: 'POST', path: '/' };
  const example =
    code === undefined ? undefined : (JSON.parse(protocol.encodeError(new SlipwayError(code, message!), request).body) as unknown);
  const retry = status === 503 || status === 429;
  return {
    description: `An error of the kind ${kinds.map((kind) => kind.replaceAll('_', ' ')).join(' or ')}.`,
    ...(retry && { headers: { 'retry-after': { description: 'Seconds after which to try again.', schema: { type: 'integer' } } } }),
    content: { 'application/json': { schema: writer.write(schema, 'output'), ...(example !== undefined && { example }) } },
  };
}

function operationOf(route: RouteDefinition, protocol: HttpProtocol, writer: SchemaWriter): Json {
  const parameters = parametersOf(route, writer);
  const responses: Json = {};
  for (const [status, response] of Object.entries(route.responses)) responses[status] = responseOf(response, writer);
  for (const status of route.errors) responses[status] ??= errorResponse(status, protocol, writer);
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description && { description: route.description }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: requestBodyOf(route.body, writer) }),
    responses,
  };
}

/** The OpenAPI 3.1 document of the protocols, made from the schemas that check their input. */
export function describeProtocols(protocols: readonly HttpProtocol[], version: string): Json {
  const writer = createSchemaWriter();
  const paths: { [path: string]: Json } = {};
  for (const protocol of protocols) {
    for (const route of protocol.routes) {
      if (route.undocumented) continue;
      (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route, protocol, writer);
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Slipway',
      version,
      description: 'Serves machine-learning models from a folder. Every error has the shape of its protocol.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: protocols.flatMap(({ tags }) => Object.entries(tags).map(([name, description]) => ({ name, description }))),
    security: [],
    paths,
    components: { schemas: writer.components },
  };
}
