#!/usr/bin/env node
// Plain JavaScript on purpose: compiled code, types already stripped, is kept between starts, but only for files that
// are loaded after this call. A TypeScript entry would load Node's type stripper at every start (18 MB, 40 ms).
import { enableCompileCache } from 'node:module';

enableCompileCache();
await import('../src/main.ts');
