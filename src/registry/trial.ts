import type { Placement, RunnerLauncher } from '../runners/runner.ts';
import type { MemoryBudget } from './memory/tenant.ts';
import { inspectFolder } from './scan.ts';

/** Loads a model in a process of its own, only to see that it can be. @throws SlipwayError why it can't. */
export async function tryLoad(launcher: RunnerLauncher, budget: MemoryBudget, name: string, placement: Placement): Promise<void> {
  const lease = await budget.reserve(
    {
      name,
      key: placement.folder,
      fileBytes: (await inspectFolder(placement.folder))?.bytes ?? 0,
      processes: 1,
      pinned: true,
      inFlight: 0,
      lastUsedAt: 0,
      evict: () => Promise.resolve(),
    },
    new AbortController().signal,
  );
  const runner = launcher.launch(placement);
  try {
    await runner.ready();
    await lease.loaded(() => runner.memoryBytes());
  } finally {
    await runner.stop();
    lease.end();
  }
}
