import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../../src/jobs/training/checkpoint.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const MODULE = new URL('../../../src/jobs/training/checkpoint.ts', import.meta.url).href;

/** One array of weights as a checkpoint. */
const checkpointOf = (values: number, step: number) => ({
  progress: { step },
  state: new Map([['weight/a', { shape: [values], data: new Float32Array(values).fill(step) }]]),
  best: new Map(),
});

describe('checkpoints', () => {
  it('come back as they were written', async () => {
    const path = join(await temporaryFolder(), 'checkpoint.bin');
    expect(await readCheckpoint(path)).toBeUndefined();
    await writeCheckpoint(path, checkpointOf(3, 7));
    expect(await readCheckpoint(path)).toEqual(checkpointOf(3, 7));
  });

  // A limit on the size of files stands for a full disk: the system refuses to write on, in the middle of the file.
  it.skipIf(process.platform === 'win32')('keep the one before when the disk is full, say so, and leave nothing behind', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'checkpoint.bin');
    await writeCheckpoint(path, checkpointOf(3, 7));
    const program = `
      import { writeCheckpoint } from '${MODULE}';
      const state = new Map([['weight/a', { shape: [100000], data: new Float32Array(100000) }]]);
      await writeCheckpoint(process.argv[1], { progress: { step: 8 }, state, best: new Map() })
        .then(() => console.log('written'), ({ code, message }) => console.log(code, message));`;
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      'ulimit -f 100 && exec "$@"',
      'sh',
      process.execPath,
      '--input-type=module',
      '-e',
      program,
      path,
    ]);
    expect(stdout).toBe('STORAGE_FULL The disk is full; the checkpoint before this one is kept.\n');
    expect(await readdir(folder)).toEqual(['checkpoint.bin']);
    expect(await readCheckpoint(path)).toEqual(checkpointOf(3, 7));
  });
});
