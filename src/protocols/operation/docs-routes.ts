import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { defineRoute, type RouteDefinition } from '../http/route.ts';

const OPENAPI_FILE = fileURLToPath(new URL('../../../openapi.yaml', import.meta.url));

/** Nothing on the page may come from another host; Swagger UI sets styles and data: images itself. */
const POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slipway API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

// The page asks no outside validator about the document: validatorUrl is off.
const START = `SwaggerUIBundle({ url: '/openapi.yaml', dom_id: '#docs', deepLinking: true, validatorUrl: null });
`;

const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

const assetParams = z.object({ file: z.enum(['swagger-ui.css', 'swagger-ui-bundle.js', 'start.js']) });

/** `/openapi.yaml`, and `/docs`, which shows it by Swagger UI from this server alone. */
export function createDocsRoutes(): RouteDefinition[] {
  const assetFolder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  return [
    defineRoute({
      method: 'GET',
      path: '/openapi.yaml',
      operationId: 'openapi',
      tag: 'operation',
      summary: 'This document.',
      responses: { 200: { description: 'OpenAPI 3.1, as YAML.', contentType: 'application/yaml' } },
      errors: [500],
      handle: async () => ({ status: 200, contentType: 'application/yaml; charset=utf-8', payload: await readFile(OPENAPI_FILE) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/docs',
      operationId: 'docs',
      tag: 'operation',
      summary: 'This document as a page to read and try.',
      responses: { 200: { description: 'The page.', contentType: 'text/html' } },
      errors: [500],
      handle: async () => ({
        status: 200,
        contentType: 'text/html; charset=utf-8',
        headers: { 'content-security-policy': POLICY },
        payload: PAGE,
      }),
    }),
    defineRoute<z.infer<typeof assetParams>>({
      method: 'GET',
      path: '/docs/{file}',
      operationId: 'docsAsset',
      tag: 'operation',
      summary: 'A file of the page.',
      params: assetParams,
      responses: { 200: { description: 'A script or a style sheet.', contentType: 'text/*' } },
      errors: [400, 500],
      handle: async ({ params: { file } }) => {
        const contentType = ASSETS[file] ?? 'text/javascript; charset=utf-8';
        return { status: 200, contentType, payload: file === 'start.js' ? START : await readFile(join(assetFolder, file)) };
      },
    }),
  ];
}
