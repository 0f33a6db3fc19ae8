import { join } from 'node:path';
import { hasCode } from '../errors/has-code.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { MODEL_MANIFEST_FILE, modelManifestSchema, type ModelManifest } from '../packages/manifest.ts';
import { readModelManifest, writeModelManifest } from '../packages/read-version.ts';
import { fingerprintFile } from './scan.ts';

/** A model's slipway-model.json, as last read. */
export interface ModelSettings {
  /** The last good one; the defaults when there is no file, or none was ever good. */
  readonly manifest: ModelManifest;
  readonly labels: ReadonlyMap<string, number>;
  /** What is wrong with the file; empty when it is fine. */
  readonly reason: string;
  /** Reads the file again when its fingerprint has changed. */
  refresh(fingerprint: string | undefined): Promise<void>;
  /**
   * Changes some of the settings and writes the file.
   * @throws SlipwayError INVALID_MANIFEST when the file on disk is broken: it is not for Slipway to overwrite;
   *   REPOSITORY_READ_ONLY, STORAGE_FULL.
   */
  write(change: Partial<ModelManifest>): Promise<void>;
}

const DEFAULTS = modelManifestSchema.parse({});
const NO_LABELS: ReadonlyMap<string, number> = new Map();

export function createModelSettings(model: string, modelFolder: string): ModelSettings {
  let manifest = DEFAULTS;
  let labels = NO_LABELS;
  let reason = '';
  let known: string | undefined;

  function take(next: ModelManifest): void {
    manifest = next;
    labels = new Map(Object.entries(next.labels));
    reason = '';
  }

  return {
    get manifest() {
      return manifest;
    },
    get labels() {
      return labels;
    },
    get reason() {
      return reason;
    },
    async refresh(fingerprint) {
      if (fingerprint === known) return;
      known = fingerprint;
      try {
        take(fingerprint === undefined ? DEFAULTS : await readModelManifest(modelFolder));
      } catch (error) {
        reason = messageOf(error);
      }
    },
    async write(change) {
      if (reason !== '') {
        throw new SlipwayError(
          'INVALID_MANIFEST',
          `The settings of model "${model}" can't be changed before their file is mended. ${reason}`,
        );
      }
      const changed: ModelManifest = { ...manifest, ...change };
      try {
        await writeModelManifest(modelFolder, changed);
      } catch (error) {
        if (!hasCode(error, 'EROFS', 'EACCES', 'EPERM')) throw error;
        const problem = `The settings of model "${model}" can't be written: its folder is read-only.`;
        throw new SlipwayError('REPOSITORY_READ_ONLY', problem, { cause: error });
      }
      take(changed);
      known = await fingerprintFile(join(modelFolder, MODEL_MANIFEST_FILE));
    },
  };
}

/** What is wrong with labels, in sentences. */
export function danglingLabels(labels: ReadonlyMap<string, number>, onDisk: ReadonlySet<number>): readonly string[] {
  return [...labels]
    .filter(([, version]) => !onDisk.has(version))
    .map(([label, version]) => `Label "${label}" points at version ${version}, which is not there.`);
}
