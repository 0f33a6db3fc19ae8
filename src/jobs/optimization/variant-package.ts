import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Of } from '../../packages/file-digest.ts';
import { VERSION_MANIFEST_FILE, type VersionManifest } from '../../packages/manifest.ts';
import { modelFilesOf } from '../../packages/model-files.ts';
import { readVersionFolder } from '../../packages/read-version.ts';
import type { DataReport, ResolvedOptimizeSpec, VariantRow } from './result.ts';

async function digestsOf(folder: string, names: readonly string[]): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const name of names) digests[name] = await sha256Of(join(folder, name));
  return digests;
}

export interface Provenance {
  readonly jobId: string;
  /** Slipway's own. */
  readonly slipway: string;
  readonly spec: ResolvedOptimizeSpec;
  readonly parentFolder: string;
  readonly data: DataReport;
  readonly row: VariantRow;
  /** Why it is published, in words. */
  readonly decision: string;
}

/** Writes into the manifest of a variant what was measured, and where it comes from. */
export async function writeProvenance(
  folder: string,
  { jobId, slipway, spec, parentFolder, data, row, decision }: Provenance,
): Promise<void> {
  const parent = await readVersionFolder(parentFolder);
  const { manifest, files } = await readVersionFolder(folder);
  const { accuracy } = row.measurement!;
  const lineage = {
    job: jobId,
    slipway,
    parent: {
      model: spec.model,
      version: spec.version,
      files: await digestsOf(parentFolder, await modelFilesOf(parentFolder, parent.format, parent.files)),
      lineage: parent.manifest.lineage,
    },
    techniques: row.techniques,
    notes: row.notes,
    data,
    limits: spec.limits,
    measurement: row.measurement,
    decision,
  };
  const told: VersionManifest = {
    ...manifest,
    metrics: { accuracy },
    // Through text: what is undefined is left out.
    lineage: JSON.parse(JSON.stringify(lineage)) as NonNullable<VersionManifest['lineage']>,
    files: await digestsOf(
      folder,
      files.filter((name) => name !== VERSION_MANIFEST_FILE),
    ),
  };
  await writeFile(join(folder, VERSION_MANIFEST_FILE), `${JSON.stringify(told, null, 2)}\n`);
}
