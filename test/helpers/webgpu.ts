import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fixtureFolder } from './fixture-models.ts';

/** In a process of its own: a graphics driver may end it, and what it prints is of no use here. */
const PROBE = `
  const { InferenceSession } = await import('onnxruntime-node');
  await InferenceSession.create(process.argv[1], { executionProviders: ['webgpu'], logSeverityLevel: 4 });
`;

/** What is added to the names of tests that are skipped for want of it. */
export const NEEDS_WEBGPU =
  'needs a GPU by Vulkan; a software one: Debian’s chromium and libvulkan1, VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json';

/** Whether ONNX Runtime finds a GPU by WebGPU. */
export const hasWebGpu = await promisify(execFile)(
  process.execPath,
  ['--input-type=module', '--eval', PROBE, `${fixtureFolder('times-three')}/model.onnx`],
  { timeout: 60_000, cwd: new URL('../..', import.meta.url) },
).then(
  () => true,
  () => false,
);
