import { readFileSync } from 'node:fs';
import type { Output } from './cli/command.ts';
import { ConfigError, loadConfig } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { messageOf } from './errors/slipway-error.ts';
import { createLogger } from './observability/log.ts';
import { KeyFileError } from './packages/signing-keys.ts';
import { createServer, type Server } from './server.ts';

/** Exit statuses: 2 for a bad setting, as command-line tools do; 1 for a server that could not start. */
const EXIT_USAGE = 2;
const EXIT_FAILURE = 1;
/** As shells have it for a program that Ctrl-C has ended. */
const EXIT_INTERRUPTED = 130;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

function readConfig(argv: readonly string[]): Config | undefined {
  try {
    const loaded = loadConfig({ argv, env: process.env, readFile: (path) => readFileSync(path, 'utf8'), version });
    if (loaded.kind === 'run') return loaded.config;
    process.stdout.write(`${loaded.text}\n`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`slipway: ${error.message}\n`);
    process.exitCode = EXIT_USAGE;
  }
  return undefined;
}

/** How often a server that npm has started looks whether npm is still there, in milliseconds. */
const PARENT_CHECK_MS = 500;

/**
 * `npm start` puts a shell between itself and the server. When someone ends npm, the shell gets the signal and does not
 * pass it on; all that the server can see is that its parent is gone.
 */
function onParentGone(act: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, PARENT_CHECK_MS);
  timer.unref();
}

/** The process around the server: settings, log, signals and exit statuses. */
async function serve(argv: readonly string[]): Promise<void> {
  const config = readConfig(argv);
  if (config === undefined) return;
  const logger = await createLogger(config.logging, { isTTY: process.stdout.isTTY });
  let server: Server;
  try {
    server = createServer(config, { logger, env: process.env, version });
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    process.stderr.write(`slipway: ${error.message}\n`);
    process.exitCode = EXIT_USAGE;
    return;
  }

  let signals = 0;
  const stop = (why: string): void => {
    signals += 1;
    if (signals > 1) process.exit(EXIT_FAILURE); // asked twice: do not wait for work in flight
    logger.info({}, `${why}: stopping`);
    void server.stop().then(
      () => {
        logger.info({}, 'stopped');
        process.exit(0);
      },
      (error: unknown) => {
        logger.fatal({ err: error }, 'could not stop cleanly');
        process.exit(EXIT_FAILURE);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  onParentGone(() => stop('npm is gone'));
  // A defect that nothing caught: the state is unknown, so end and let the supervisor start anew.
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception');
    process.exit(EXIT_FAILURE);
  });

  try {
    await server.start();
  } catch (error) {
    logger.fatal({ err: error }, `could not start: ${messageOf(error)}`);
    await server.stop().catch(() => {});
    process.exit(EXIT_FAILURE);
  }
}

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    // For a pipe Node leaves both out, whatever its types say.
    isTTY: (stream as Partial<NodeJS.WriteStream>).isTTY ?? false,
    get columns() {
      return (stream as Partial<NodeJS.WriteStream>).columns ?? 80;
    },
  };
}

/** The process around every other command. It ends by itself when all is written. */
async function runAlone(argv: readonly string[]): Promise<void> {
  const { COMMANDS } = await import('./cli/commands.ts');
  const { runCommand } = await import('./cli/run-command.ts');
  const interrupted = new AbortController();
  const interrupt = (): void => {
    if (interrupted.signal.aborted) process.exit(EXIT_INTERRUPTED);
    interrupted.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  process.exitCode = await runCommand(argv, COMMANDS, {
    out: outputOf(process.stdout),
    err: outputOf(process.stderr),
    env: process.env,
    interrupted: interrupted.signal,
  });
  process.off('SIGINT', interrupt);
  process.off('SIGTERM', interrupt);
}

const argv = process.argv.slice(2);
const [first = '--'] = argv;
if (first === 'serve') await serve(argv.slice(1));
else if (first.startsWith('-')) await serve(argv);
else await runAlone(argv);
