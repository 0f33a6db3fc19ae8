import { readFile } from 'node:fs/promises';
import type { TrainerState, Values } from '../../engines/training/trainer.ts';
import { hasCode } from '../../errors/has-code.ts';
import { replaceFile } from '../../packages/replace-file.ts';

/** Where a training is: plain data beside the numbers. */
export interface Checkpoint<Progress> {
  readonly progress: Progress;
  readonly state: TrainerState;
  /** Weights that may be taken at the end instead; empty when there are none. */
  readonly best: TrainerState;
}

/*
 * The file: the length of the header in four bytes, the header as JSON, then the numbers of each array as they lie in
 * memory, little-endian, in the order of the header.
 */
const MAGIC = 'SLIPCKP1';

interface Header<Progress> {
  readonly progress: Progress;
  readonly arrays: readonly { readonly group: 'state' | 'best'; readonly name: string; readonly shape: readonly number[] }[];
}

function encode<Progress>({ progress, state, best }: Checkpoint<Progress>): Buffer[] {
  const groups = [
    ['state', state],
    ['best', best],
  ] as const;
  const arrays = groups.flatMap(([group, each]) => [...each].map(([name, { shape }]) => ({ group, name, shape })));
  const header = Buffer.from(JSON.stringify({ progress, arrays } satisfies Header<Progress>));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const data = groups.flatMap(([, each]) =>
    [...each.values()].map((values) => Buffer.from(values.data.buffer, values.data.byteOffset, values.data.byteLength)),
  );
  return [Buffer.from(MAGIC), length, header, ...data];
}

/**
 * Writes a checkpoint in place of the one before it. Whoever reads it finds the old or the new one, whatever happens.
 * @throws SlipwayError STORAGE_FULL; the one before it is still there.
 */
export async function writeCheckpoint<Progress>(path: string, checkpoint: Checkpoint<Progress>): Promise<void> {
  await replaceFile({
    path,
    draft: `${path}.${process.pid}.tmp`,
    async write(file) {
      // Not writev: it says nothing of what a full disk left out of its one write. This goes on, or tells.
      for (const part of encode(checkpoint)) await file.writeFile(part);
    },
    syncFolder: true,
    whenFull: 'The disk is full; the checkpoint before this one is kept.',
  });
}

/** The last checkpoint; undefined when there is none. */
export async function readCheckpoint<Progress>(path: string): Promise<Checkpoint<Progress> | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  const start = MAGIC.length + 4;
  if (bytes.subarray(0, MAGIC.length).toString() !== MAGIC) throw new Error(`${path} is no checkpoint`);
  const headerEnd = start + bytes.readUInt32LE(MAGIC.length);
  const { progress, arrays } = JSON.parse(bytes.subarray(start, headerEnd).toString()) as Header<Progress>;
  const groups = { state: new Map<string, Values>(), best: new Map<string, Values>() };
  let at = headerEnd;
  for (const { group, name, shape } of arrays) {
    const length = shape.reduce((product, size) => product * size, 1) * Float32Array.BYTES_PER_ELEMENT;
    // Copied, for the numbers must begin at a multiple of four.
    groups[group].set(name, { shape, data: new Float32Array(Uint8Array.from(bytes.subarray(at, at + length)).buffer) });
    at += length;
  }
  return { progress, ...groups };
}
