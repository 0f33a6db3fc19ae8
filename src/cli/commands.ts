import type { CommandEntry } from './run-command.ts';

/** The words after `slipway`, as `slipway help` lists them. Without one, and for `serve`, the server starts. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'native',
    summary: 'install native TensorFlow, look at it, remove it',
    load: async () => (await import('./native/native-command.ts')).nativeCommand,
  },
  {
    name: 'optimize',
    summary: 'have a server make a version smaller and faster',
    load: async () => (await import('./optimize/optimize-command.ts')).optimizeCommand,
  },
  {
    name: 'package',
    summary: 'sign, verify, import and export packages of models',
    load: async () => (await import('./package/package-command.ts')).packageCommand,
  },
  {
    name: 'train',
    summary: 'train a model, here or on a server',
    load: async () => (await import('./train/train-command.ts')).trainCommand,
  },
];
