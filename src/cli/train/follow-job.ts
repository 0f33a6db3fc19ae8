import type { JobsApi, TrainJob } from '../jobs/api.ts';
import { after, startOf } from './progress.ts';
import type { Report } from './report.ts';

/** Shows a job until it has ended. @returns how it ended; undefined when we were interrupted first. */
export async function followJob(api: JobsApi, id: string, report: Report, interrupted: AbortSignal): Promise<TrainJob | undefined> {
  const { spec } = await api.describe(id);
  let progress = startOf(spec.epochs);
  for await (const event of api.events(id, interrupted)) {
    progress = after(progress, event);
    report.event(event, progress);
  }
  if (interrupted.aborted) {
    report.interrupted();
    return undefined;
  }
  const job = await api.describe(id);
  report.ended(job, progress);
  return job;
}
