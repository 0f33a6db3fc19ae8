import { adapterInfo } from './webgpu-adapter.ts';
import { messageOf } from '../../errors/slipway-error.ts';

/*
 * The program that tells which GPU WebGPU computes on: a line of JSON. A process of its own, for a graphics driver is native
 * code, and may end it.
 */
try {
  process.stdout.write(`${JSON.stringify(await adapterInfo())}\n`);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
