import { Socket } from 'node:net';
import { FOLDER_VARIABLE } from '../../native/installation.ts';
import { serveRunner } from './serve.ts';

/*
 * The runner program: one process, one model. The host starts it with a socket as file descriptor 3 and speaks the
 * runner protocol there; stdout and stderr are free for whatever libraries print, and the host logs them.
 */

const HOST_FD = 3;

// Ctrl-C and many process supervisors signal every process of the group; only the host decides when a runner ends,
// so that requests in flight are drained first.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.title = 'slipway-runner';

const runner = serveRunner({
  connection: new Socket({ fd: HOST_FD, readable: true, writable: true }),
  // Loaded on demand: `hello` is sent before the engines and their native libraries are read from disk.
  loadModel: async (options) => {
    const { loadModel } = await import('../../engines/engines.ts');
    return loadModel({ ...options, tensorflowFolder: process.env[FOLDER_VARIABLE] });
  },
  exit: (code) => process.exit(code),
});

process.on('uncaughtException', runner.fail);
process.on('unhandledRejection', runner.fail);
