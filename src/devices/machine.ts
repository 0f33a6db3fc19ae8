import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import type { EngineHere } from './engines-here.ts';

const LIBRARIES = ['onnxruntime-node', '@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm', 'webgpu'] as const;

/** Variables that decide which graphics driver is loaded. */
const DRIVER_VARIABLES = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'CUDA_VISIBLE_DEVICES'] as const;

function orNothing<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * Stands for the machine and the libraries on it: what was measured holds as long as it is the same. By what can be read at
 * once, since it is asked for when models are loaded.
 */
export function machineKey(engines: readonly EngineHere[], env: Readonly<NodeJS.ProcessEnv>): string {
  const require = createRequire(import.meta.url);
  const facts = {
    cpu: os.cpus()[0]?.model,
    cores: os.availableParallelism(),
    platform: [process.platform, process.arch, os.release()],
    node: process.version,
    libraries: LIBRARIES.map((name) => orNothing(() => (require(`${name}/package.json`) as { version: string }).version)),
    engines,
    nvidia: orNothing(() => readFileSync('/proc/driver/nvidia/version', 'utf8')),
    graphics: orNothing(() => readdirSync('/dev/dri')),
    variables: DRIVER_VARIABLES.map((name) => env[name]),
  };
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
