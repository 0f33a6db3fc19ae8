import { readNvidia } from '../../src/devices/nvidia.ts';

/** Whether there is a GPU of NVIDIA with its driver. */
export const hasNvidia = typeof (await readNvidia([], process.env)) !== 'string';

/** What is added to the names of tests that are skipped for want of it. */
export const NEEDS_NVIDIA = 'gpu: needs an NVIDIA GPU with its driver';
