import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

/** The npm package whose C++ binding and JavaScript kernels join tfjs to TensorFlow. */
export const TFJS_NODE = '@tensorflow/tfjs-node-gpu';

export interface TfjsNodePackage {
  readonly folder: string;
  readonly version: string;
}

/** The package as npm has installed it; undefined when it is left out, as it may be: it is an optional dependency. */
export function findTfjsNode(): TfjsNodePackage | undefined {
  try {
    const file = createRequire(import.meta.url).resolve(`${TFJS_NODE}/package.json`);
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    return { folder: dirname(file), version };
  } catch {
    return undefined;
  }
}
