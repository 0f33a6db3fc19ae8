/** Writes the reference pages from the error catalogue and the settings. A test fails when a page drifts from them. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { REFERENCE_PAGES } from './reference/pages.ts';

for (const [name, page] of Object.entries(REFERENCE_PAGES)) {
  writeFileSync(fileURLToPath(new URL(`../docs/reference/${name}`, import.meta.url)), page());
}
