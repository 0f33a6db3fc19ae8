import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readNvidia } from '../../../src/devices/nvidia.ts';
import { processTree } from '../../../src/devices/processes.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/** A stand-in for NVIDIA's program, which a machine without its driver does not have: answers as its manual says. */
async function fakeNvidiaSmi(script: string): Promise<Record<string, string>> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { PATH: `${folder}:/bin:/usr/bin` };
}

describe('NVIDIA’s GPUs', () => {
  it('are read with what this server and others use of each', async () => {
    const env = await fakeNvidiaSmi(`case "$1" in
      --query-gpu=*) echo "0, GPU-a, NVIDIA H100 80GB HBM3, 550.54.15, 81559, 5000"; echo "1, GPU-b, NVIDIA L4, 550.54.15, 23034, 100" ;;
      --query-compute-apps=*) echo "GPU-a, 41, 1000"; echo "GPU-a, 42, 3000"; echo "GPU-b, 43, [N/A]" ;;
      *) exit 3 ;;
    esac`);
    const mebibyte = 1024 * 1024;
    expect(await readNvidia([41, 43], env)).toEqual([
      {
        id: 'cuda:0',
        kind: 'cuda',
        name: 'NVIDIA H100 80GB HBM3',
        driver: '550.54.15',
        cores: undefined,
        memory: { totalBytes: 81_559 * mebibyte, usedByUsBytes: 1000 * mebibyte, usedByOthersBytes: 4000 * mebibyte },
      },
      {
        id: 'cuda:1',
        kind: 'cuda',
        name: 'NVIDIA L4',
        driver: '550.54.15',
        cores: undefined,
        memory: { totalBytes: 23_034 * mebibyte, usedByUsBytes: 0, usedByOthersBytes: 100 * mebibyte },
      },
    ]);
  });

  it('are none without the driver, without a GPU, or when the driver fails, and it says which', async () => {
    expect(await readNvidia([], { PATH: '/nowhere' })).toMatch(/^There is no nvidia-smi/);
    expect(await readNvidia([], await fakeNvidiaSmi('exit 0'))).toBe('nvidia-smi lists no GPU.');
    const broken = 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18';
    expect(await readNvidia([], await fakeNvidiaSmi(broken))).toBe(
      'nvidia-smi fails: Failed to initialize NVML: Driver/library version mismatch',
    );
  });
});

describe.runIf(process.platform === 'linux')('the processes of this one', () => {
  it('are those that it has started and those that these have started', async () => {
    const shell = spawn('sh', ['-c', 'sleep 60 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = (await once(shell.stdout, 'data')) as [Buffer];
    const grandchild = Number(line.toString());
    onTestFinished(() => {
      process.kill(grandchild);
      shell.kill();
    });
    expect(await processTree(process.pid)).toEqual(expect.arrayContaining([process.pid, shell.pid, grandchild]));
  });
});
