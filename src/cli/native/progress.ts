import type { Output } from '../command.ts';

const BAR_WIDTH = 30;
const REDRAW_MS = 100;
/** Where nobody reads along, a line for each so much. */
const STEP_PERCENT = 25;

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A progress bar on a terminal, some lines in a log. */
export function createProgress(output: Output): { step(text: string): void; progress(done: number, total: number | undefined): void } {
  let drawnAt = 0;
  let isDrawn = false;
  let lastStep = 0;

  function clear(): void {
    if (isDrawn) output.write('\r\u001b[K');
    isDrawn = false;
  }

  return {
    step(text) {
      clear();
      lastStep = 0;
      output.write(`${text}\n`);
    },
    progress(done, total) {
      const share = total === undefined || total === 0 ? undefined : done / total;
      if (!output.isTTY) {
        const step = Math.floor(((share ?? 0) * 100) / STEP_PERCENT);
        if (step > lastStep) output.write(`  ${step * STEP_PERCENT} % of ${megabytes(total!)}\n`);
        lastStep = Math.max(step, lastStep);
        return;
      }
      const now = performance.now();
      if (now - drawnAt < REDRAW_MS && done !== total) return;
      drawnAt = now;
      clear();
      isDrawn = true;
      const filled = Math.round((share ?? 0) * BAR_WIDTH);
      const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${Math.floor(share * 100)} % `;
      output.write(`  ${bar}${megabytes(done)}${total === undefined ? '' : ` of ${megabytes(total)}`}`);
    },
  };
}
