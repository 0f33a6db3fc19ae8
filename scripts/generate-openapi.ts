/** Writes openapi.yaml from the routes and their schemas. A test fails when the file drifts from them. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openapiText } from './openapi/openapi-text.ts';

writeFileSync(fileURLToPath(new URL('../openapi.yaml', import.meta.url)), openapiText());
