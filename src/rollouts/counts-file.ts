import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../packages/replace-file.ts';
import type { Rollout } from '../packages/rollout.ts';
import { NO_COUNTS, type RolloutCounts } from './judgement.ts';

const countsSchema = z.strictObject(
  Object.fromEntries(Object.keys(NO_COUNTS).map((name) => [name, z.int().min(0)])) as Record<keyof RolloutCounts, z.ZodInt>,
);

const fileSchema = z.strictObject({ candidate: z.int(), startedAt: z.string(), counts: countsSchema });

/** The counts of rollouts on disk, so that a server that starts anew goes on with them. */
export interface CountsFile {
  /** Those of this very rollout; zeros when there are none. */
  read(model: string, rollout: Rollout): RolloutCounts;
  write(model: string, rollout: Rollout, counts: RolloutCounts): Promise<void>;
  remove(model: string): Promise<void>;
}

export function createCountsFile(folder: string): CountsFile {
  const pathOf = (model: string): string => join(folder, `${model}.json`);
  return {
    // In one go: it is a few hundred bytes, once for a rollout, and requests wait for it.
    read(model, { candidate, startedAt }) {
      try {
        const read = fileSchema.parse(JSON.parse(readFileSync(pathOf(model), 'utf8')));
        if (read.candidate === candidate && read.startedAt === startedAt) return read.counts;
      } catch {
        // None, or cut short by a crash: it is counted anew, which makes the test slower, not wrong.
      }
      return NO_COUNTS;
    },
    async write(model, { candidate, startedAt }, counts) {
      const path = pathOf(model);
      await mkdir(dirname(path), { recursive: true });
      await replaceFile({
        path,
        draft: `${path}.${process.pid}.tmp`,
        write: (file) => file.writeFile(JSON.stringify({ candidate, startedAt, counts })),
        whenFull: 'The disk is full; the counts of a rollout were not kept.',
      });
    },
    remove: (model) => rm(pathOf(model), { force: true }),
  };
}
