#!/usr/bin/env node
// Plain JavaScript on purpose: compiled code, types already stripped, is kept between starts, but only for files that
// are loaded after this call. A TypeScript entry would load Node's type stripper at every start (18 MB, 40 ms).
import { existsSync } from 'node:fs';
import * as nodeModules from 'node:module';

const { enableCompileCache, registerHooks } = nodeModules;
if (registerHooks === undefined) {
  process.stderr.write(
    `slipway: needs Node 24; this is ${process.version}. In a checkout, npm start and npx slipway take the one that npm ci has brought.\n`,
  );
  // oxlint-disable-next-line no-restricted-properties -- nothing of src can be loaded here
  process.exit(1);
}
enableCompileCache();

// zod comes with its messages in fifty languages and loads them all: 10 MB and 30 ms of a start for what is never used.
const withoutTranslations = registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    return resolved.url.endsWith('/zod/v4/locales/index.js') ? { ...resolved, url: 'data:text/javascript,' } : resolved;
  },
});

// A checkout has the source, an image and a package what is compiled from it.
const source = new URL('../src/main.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/main.js', import.meta.url).href);
withoutTranslations.deregister();
