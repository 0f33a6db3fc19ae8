import { z } from 'zod';
import { bytes, count, MAX_TIMER_MS, milliseconds, text } from '../units.ts';

export const datasetsSection = z
  .strictObject({
    maxUploadBytes: bytes.default(64 * 1024 * 1024 * 1024).describe('Largest upload of a dataset, in bytes.'),
    folder: text.optional().describe('Folder on the server’s disk from which datasets may be made by a path. Without it none may.'),
    uploadExpiryMs: milliseconds
      .default(86_400_000)
      .describe('A resumable upload to which nothing was added for this long is removed, in milliseconds.'),
    maxFiles: count.default(1_000_000).describe('Most files of a dataset.'),
    maxRows: count.default(1_000_000_000).describe('Most rows of a dataset.'),
    maxColumns: count.default(10_000).describe('Most columns of a dataset.'),
    maxCategories: count.default(1_000).describe('Most different texts of a category; a column with more is text.'),
    maxRowLength: count.default(16 * 1024 * 1024).describe('Longest row of CSV, in characters.'),
    maxImageBytes: bytes.default(64 * 1024 * 1024).describe('Largest image file of a dataset, in bytes.'),
    maxSkippedRows: count.default(100_000).describe('Most rows that an upload may ask to be left out because they cannot be read.'),
    maxBytes: bytes.default(128 * 1024 * 1024 * 1024).describe('Most bytes that a dataset may take on disk once it is read.'),
    maxReaders: count.default(2).describe('Uploaded datasets that are read at the same time; further ones wait.'),
    maxHeapBytes: bytes
      .default(1024 * 1024 * 1024)
      .describe('Largest JavaScript heap of the process that reads an uploaded dataset, in bytes.'),
  })
  .prefault({});

export const jobsSection = z
  .strictObject({
    maxRunning: count.default(1).describe('Jobs that run at the same time.'),
    maxQueued: count.default(100).describe('Jobs that may wait; further ones are refused.'),
    threads: count
      .default(1)
      .describe(
        'Threads that a training step is computed on at most. On ONNX Runtime a batch is divided into as many parts, where no layer looks at the whole of it, and the first steps of each thousand measure how many threads pay. With another number the last digits of the weights may differ.',
      ),
    maxRestarts: z
      .number()
      .int()
      .min(0)
      .default(3)
      .describe('How often a job whose process has crashed goes on from its last checkpoint by itself.'),
    maxEvents: count.default(10_000).describe('Events that are kept of a job; of more, the oldest go.'),
    maxEnded: count
      .default(1_000)
      .describe('Jobs that are kept once they have ended; of more, those that ended first go, with their checkpoints.'),
    maxMemoryBytes: bytes
      .default(2 * 1024 * 1024 * 1024)
      .describe('Most memory of the process of a job, in bytes; one that takes more fails.'),
    maxDurationMs: milliseconds.default(86_400_000).describe('Longest time of one attempt at a job, in milliseconds.'),
    checkpointMs: z
      .number()
      .int()
      .min(0)
      .max(MAX_TIMER_MS)
      .default(30_000)
      .describe('Least time between the checkpoints of a job, in milliseconds; 0 makes one after each step.'),
    stopGraceMs: milliseconds
      .default(800)
      .describe('Time that the process of a job may take to end when the job is cancelled, in milliseconds; it is killed then.'),
  })
  .prefault({});
