import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FOLDER_VARIABLE } from '../../native/installation.ts';

/**
 * What a runner needs of the server's environment. All else stays behind, for a runner reads model files that came
 * from others with native parsers, and the server's environment holds tokens and passwords.
 */
const NAMES = new Set([
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'TMPDIR',
  'TEMP',
  'TMP',
  'SYSTEMROOT',
  'XDG_CACHE_HOME',
  'XDG_RUNTIME_DIR',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  FOLDER_VARIABLE,
]);

/** Settings of the loader, of Node, of memory allocators, of thread pools and of devices. */
const PREFIXES = ['LD_', 'DYLD_', 'LC_', 'NODE_', 'MALLOC_', 'OMP_', 'KMP_', 'CUDA_', 'NVIDIA_', 'ORT_', 'TF_', 'VK_', 'DAWN_'];

/**
 * The environment of a runner.
 * @param compileCacheFolder where Node keeps compiled code; see `RunnerLauncherOptions`.
 */
export function runnerEnvironment(env: Readonly<NodeJS.ProcessEnv>, compileCacheFolder: string | undefined): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const upper = name.toUpperCase();
    if (value !== undefined && (NAMES.has(upper) || PREFIXES.some((prefix) => upper.startsWith(prefix)))) kept[name] = value;
  }
  // Named in the environment and not by `module.enableCompileCache()`, so that it holds for the first file as well:
  // one TypeScript file that is not in the cache loads Node's type stripper, which costs 18 MB and 40 ms.
  kept['NODE_COMPILE_CACHE'] = compileCacheFolder ?? env['NODE_COMPILE_CACHE'] ?? join(tmpdir(), 'node-compile-cache');
  // ONNX Runtime from 1.29 on reports to its maker by default and keeps a device id and a database in the user's cache
  // folder. A server calls nobody that it was not told to call.
  kept['ORT_DISABLE_TELEMETRY'] ??= '1';
  return kept;
}
