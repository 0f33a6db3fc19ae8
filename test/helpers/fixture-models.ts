import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { DeviceKind, Engine, LoadedModel } from '../../src/engines/engine.ts';
import type { ModelFormat } from '../../src/packages/formats.ts';
import { tensorflowFolder } from './native-tensorflow.ts';
import { temporaryFolder } from './temporary-folder.ts';
import type { ModelFiles } from './tfjs-model.ts';

const FIXTURE_MODELS = fileURLToPath(new URL('../fixtures/models/', import.meta.url));

/** The version folder of a fixture model. */
export function fixtureFolder(name: string): string {
  return join(FIXTURE_MODELS, name, '1');
}

/** A version folder with these files, gone when the test has finished. */
export async function modelFolder(files: ModelFiles): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** Loads a model and disposes it when the test has finished. */
export async function loadForTest(
  engine: Engine,
  folder: string,
  format: ModelFormat,
  { threads = 1, device }: { readonly threads?: number; readonly device?: DeviceKind | undefined } = {},
): Promise<LoadedModel> {
  const model = await engine.load({ folder, format, threads, device, tensorflowFolder });
  onTestFinished(() => model.dispose());
  return model;
}
