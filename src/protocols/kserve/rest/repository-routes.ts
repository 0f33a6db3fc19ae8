import type { z } from 'zod';
import { parseJson } from '../../../tensor/json-scanner.ts';
import { toPlain } from '../../../tensor/plain-json.ts';
import { checkInput } from '../../http/check-input.ts';
import { decodeBody } from '../../http/content-encoding.ts';
import { type BodyDefinition, defineRoute, type RouteContext, type RouteDefinition } from '../../http/route.ts';
import { modelParams } from '../../http/path-params.ts';
import type { OpenInference } from '../open-inference.ts';
import { v2Json } from './describe-routes.ts';
import { INDEX_EXAMPLE } from './examples.ts';
import { indexAnswer, indexBody, repositoryBody } from './schemas.ts';

/** The model repository extension of Triton: what is there, load, unload. */
export function createRepositoryRoutes(openInference: OpenInference, maxBodyBytes: number): RouteDefinition[] {
  function bodyOf(schema: z.ZodType, example: unknown): BodyDefinition {
    const content = { 'application/json': { schema, example }, 'application/octet-stream': {}, 'application/x-www-form-urlencoded': {} };
    return { kind: 'bytes', maxBytes: maxBodyBytes, content };
  }

  /** Reads a body that may be left out. */
  async function readBody<T>(schema: z.ZodType<T>, { body, headers }: RouteContext<unknown, unknown>): Promise<T> {
    const plain = await decodeBody(body, headers['content-encoding'], maxBodyBytes);
    return checkInput(schema, plain.length === 0 ? {} : toPlain(parseJson(plain)), '');
  }

  const shared = { method: 'POST', tag: 'kserve', errors: [400, 404, 413, 415, 500, 501, 503] } as const;
  return [
    defineRoute({
      ...shared,
      path: '/v2/repository/index',
      operationId: 'v2RepositoryIndex',
      summary: 'Every version in the model repository and its state.',
      body: bodyOf(indexBody, { ready: true }),
      responses: { 200: { description: 'The index.', schema: indexAnswer, example: INDEX_EXAMPLE } },
      handle: async (context) => v2Json(200, openInference.repositoryIndex((await readBody(indexBody, context)).ready)),
    }),
    defineRoute<z.infer<typeof modelParams>>({
      ...shared,
      path: '/v2/repository/models/{name}/load',
      operationId: 'v2RepositoryLoad',
      summary: 'Load a model.',
      params: modelParams,
      body: bodyOf(repositoryBody, { parameters: {} }),
      responses: { 200: { description: 'The model is loaded.' } },
      async handle(context) {
        const { parameters } = await readBody(repositoryBody, context);
        await openInference.load(context.params.name, parameters);
        return { status: 200 };
      },
    }),
    defineRoute<z.infer<typeof modelParams>>({
      ...shared,
      path: '/v2/repository/models/{name}/unload',
      operationId: 'v2RepositoryUnload',
      summary: 'Drain and unload a model.',
      params: modelParams,
      body: bodyOf(repositoryBody, { parameters: {} }),
      responses: { 200: { description: 'The model is unloaded.' } },
      async handle(context) {
        await readBody(repositoryBody, context);
        await openInference.unload(context.params.name);
        return { status: 200 };
      },
    }),
  ];
}
