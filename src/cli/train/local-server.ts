import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import type { Logger } from '../../observability/log.ts';
import { createServer } from '../../server.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface LocalServer {
  readonly address: string;
  /** The folder that models are published to. */
  readonly models: string;
  stop(): Promise<void>;
}

/** Nothing is served here, so no model is loaded unless something asks for it. */
const IDLE_MS = 60_000;

/**
 * A server for the time of one training, on a free port of this machine, with the settings of the environment. Its datasets
 * and jobs lie in a temporary folder; what it publishes goes to the model repository, where a running server finds it.
 * @param argv settings as flags, e.g. `--models DIR`
 * @throws ConfigError
 */
export async function startLocalServer(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<LocalServer> {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
  const loaded = loadConfig({ argv, env, readFile: (path) => readFileSync(path, 'utf8'), version });
  if (loaded.kind !== 'run') throw new Error('these settings ask for no server');
  const { config } = loaded;
  const state = await mkdtemp(join(tmpdir(), 'slipway-train-'));
  const off = { http: false, grpc: false };
  const server = createServer(
    {
      ...config,
      host: '127.0.0.1',
      port: 0,
      grpcPort: 0,
      state,
      native: { http: true },
      kserve: { ...config.kserve, ...off },
      tensorflowServing: { ...config.tensorflowServing, ...off },
      sagemaker: { ...config.sagemaker, ...off },
      memory: { ...config.memory, idleTimeoutMs: IDLE_MS },
      shutdown: { ...config.shutdown, unreadyMs: 0 },
    },
    { logger: silent, env, version, isAlone: false },
  );
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(state, { recursive: true, force: true });
  };
  try {
    await server.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: server.address, models: config.models, stop };
}
