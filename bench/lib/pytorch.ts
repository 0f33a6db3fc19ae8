import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./torch_steps.py', import.meta.url));

export const WITHOUT_PYTORCH = 'PyTorch was not measured: there is no Python with torch (name one by PYTHON)';

export interface PyTorchOptions {
  readonly batch: number;
  readonly steps: number;
  readonly threads: number;
}

/** Milliseconds of a training step in PyTorch; undefined where there is none. The variable PYTHON names a Python with torch. */
export function pytorchStepMs(model: 'lenet' | 'lstm' | 'transformer', { batch, steps, threads }: PyTorchOptions): number | undefined {
  const numbers = [batch, steps, threads].map(String);
  const ran = spawnSync(process.env['PYTHON'] ?? 'python3', [PROGRAM, model, ...numbers], { encoding: 'utf8' });
  return ran.status === 0 ? Number(ran.stdout) : undefined;
}
