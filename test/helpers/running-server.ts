import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { configSchema, type Config } from '../../src/config/schema.ts';
import type { Logger } from '../../src/observability/log.ts';
import { createServer, type Server } from '../../src/server.ts';
import { tensorflowFolder } from './native-tensorflow.ts';
import { temporaryFolder } from './temporary-folder.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/models/', import.meta.url));
const BUNDLED = fileURLToPath(new URL('../../models/', import.meta.url));

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface RunningServer {
  readonly server: Server;
  readonly address: string;
  /** The folder of its model repository. */
  readonly models: string;
  /** The folder of its own records. */
  readonly state: string;
}

/** Copies fixture or bundled models into a repository; `a as b` gives a copy another name. */
export async function addModels(models: string, names: readonly string[]): Promise<void> {
  await mkdir(models, { recursive: true });
  for (const entry of names) {
    const [source = entry, name = source] = entry.split(' as ');
    await cp(join(source === 'digits' ? BUNDLED : FIXTURES, source), join(models, name), { recursive: true });
  }
}

type Settings = { [Key in keyof Config]?: Config[Key] extends object ? Partial<Config[Key]> : Config[Key] };

/** A whole server on a free port with real runners, stopped when the test has finished. */
export async function runningServer(
  names: readonly string[],
  { env = process.env, ...settings }: Settings & { readonly env?: NodeJS.ProcessEnv } = {},
): Promise<RunningServer> {
  const folder = await temporaryFolder();
  const models = settings.models ?? join(folder, 'models');
  const state = settings.state ?? join(folder, 'state');
  await addModels(models, names);
  const config = configSchema.parse({
    ...(tensorflowFolder !== undefined && { tensorflow: { folder: tensorflowFolder } }),
    ...settings,
    port: 0,
    grpcPort: 0,
    models,
    state,
    repository: { settleMs: 50, pollMs: 200, ...settings.repository },
    shutdown: { unreadyMs: 0, ...settings.shutdown },
    // Tests of other things are not to be slowed down by processes that are timed.
    devices: { choice: 'fixed', ...settings.devices },
  });
  const server = createServer(config, { logger: silent, env, version: '0.0.0' });
  onTestFinished(() => server.stop());
  await server.start();
  return { server, address: server.address, models, state };
}
