/**
 * Writes the models of the tests: test/fixtures/models/<name>/1/. The same every time.
 * Usage: node scripts/make-fixture-models.ts
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ONNX_FIXTURES } from './fixtures/onnx-models.ts';
import { TFJS_FIXTURES } from './fixtures/tfjs-models.ts';

const folder = fileURLToPath(new URL('../test/fixtures/models/', import.meta.url));

for (const [name, files] of Object.entries({ ...ONNX_FIXTURES, ...TFJS_FIXTURES })) {
  const version = join(folder, name, '1');
  rmSync(version, { recursive: true, force: true });
  mkdirSync(version, { recursive: true });
  for (const [path, content] of Object.entries(files)) writeFileSync(join(version, path), content);
}
