import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VERSION_MANIFEST_FILE, type VersionManifest } from '../../packages/manifest.ts';
import { digestsOf, modelDigestsOf } from '../../packages/model-files.ts';
import { readVersionFolder, readVersionManifest } from '../../packages/read-version.ts';
import type { DataReport, ResolvedOptimizeSpec, VariantRow } from './result.ts';

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
  const { lineage: inherited } = await readVersionManifest(parentFolder);
  const { manifest, files } = await readVersionFolder(folder);
  const { accuracy } = row.measurement!;
  const lineage = {
    job: jobId,
    slipway,
    parent: {
      model: spec.model,
      version: spec.version,
      files: await modelDigestsOf(parentFolder),
      lineage: inherited,
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
