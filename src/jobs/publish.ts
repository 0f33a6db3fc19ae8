import { type KeyObject, randomUUID } from 'node:crypto';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isStorageFull } from '../errors/has-code.ts';
import { SlipwayError } from '../errors/slipway-error.ts';
import { readVersionManifest } from '../packages/read-version.ts';
import { SIGNATURE_FILE, signatureOf } from '../packages/signature.ts';
import type { Registry } from '../registry/types.ts';

export interface PublishedVersion {
  readonly model: string;
  readonly version: number;
}

export interface PublishRequest {
  /** The manifest of the package names it in its lineage, as `job`. */
  readonly jobId: string;
  readonly model: string;
  /** Is pointed at the version. */
  readonly label: string | undefined;
  /** A version folder; it is copied, and signed where the server has a key for that. */
  readonly packageFolder: string;
  /** Asked right before, unless it is published already. */
  readonly mayPublish?: () => boolean;
}

/**
 * Publishes what a job has made, once.
 * @returns undefined when `mayPublish` said no
 * @throws SlipwayError as `Registry.publish` and `setLabel`
 */
export type PublishOnce = (request: PublishRequest) => Promise<PublishedVersion | undefined>;

export interface PublishingOptions {
  readonly registry: Registry;
  /** On the file system of the model repository, so that publishing is one rename. */
  readonly incomingFolder: string;
  /** The private key that signs what jobs make; undefined when it is not signed. */
  readonly signingKey: KeyObject | undefined;
}

export function createPublishOnce({ registry, incomingFolder, signingKey }: PublishingOptions): PublishOnce {
  /** The version that this job has published already: the server may have ended right after that. */
  async function publishedBy(jobId: string, model: string): Promise<PublishedVersion | undefined> {
    const versions = registry.list().find(({ name }) => name === model)?.versions ?? [];
    for (const { version } of versions.toReversed()) {
      // From the folder: what is known of a version that was never loaded does not include its manifest.
      const manifest = await readVersionManifest(registry.folderOf(model, version)).catch(() => undefined);
      if (manifest?.lineage?.['job'] === jobId) return { model, version };
    }
    return undefined;
  }

  return async ({ jobId, model, label, packageFolder, mayPublish = () => true }) => {
    let published = await publishedBy(jobId, model);
    if (published === undefined) {
      if (!mayPublish()) return undefined;
      const folder = join(incomingFolder, randomUUID());
      await mkdir(incomingFolder, { recursive: true });
      try {
        await cp(packageFolder, folder, { recursive: true }).catch((error: unknown) => {
          throw isStorageFull(error)
            ? new SlipwayError('STORAGE_FULL', `There is no room on the disk for a version of model "${model}".`, { cause: error })
            : error;
        });
        if (signingKey !== undefined) await writeFile(join(folder, SIGNATURE_FILE), (await signatureOf(folder, signingKey)).content);
        published = { model, version: (await registry.publish(model, undefined, folder)).version };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    if (label !== undefined) await registry.setLabel(model, label, published.version);
    return published;
  };
}

/**
 * Refuses a job whose result would not be served: before it has run.
 * @throws SlipwayError UNTRUSTED_PACKAGE
 */
export function assertMayPublish({
  requireSignedBy,
  signWith,
}: {
  readonly requireSignedBy?: string | undefined;
  readonly signWith?: string | undefined;
}): void {
  if (requireSignedBy === undefined || signWith !== undefined) return;
  throw new SlipwayError(
    'UNTRUSTED_PACKAGE',
    'This server takes signed versions only and has no key to sign what a job makes: set packages.signWith, or leave out publish.',
  );
}
