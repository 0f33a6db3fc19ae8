import { readFileSync } from 'node:fs';
import http from 'node:http';
import tls from 'node:tls';
import { messageOf } from '../../errors/slipway-error.ts';
import { InstallError } from '../../native/install-error.ts';
import type { PipSettings } from '../../native/pip-settings.ts';

/**
 * Has requests of this process go through the configured proxy, and trust the configured authorities beside Node's own.
 * @throws InstallError when the file of certificates can't be read.
 */
export function useNetworkSettings({ cert, proxy }: PipSettings, env: Readonly<NodeJS.ProcessEnv>): void {
  http.setGlobalProxyFromEnv(proxy === undefined ? { ...env } : { ...env, HTTP_PROXY: proxy, HTTPS_PROXY: proxy });
  if (cert === undefined) return;
  try {
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(cert, 'utf8')]);
  } catch (error) {
    throw new InstallError(`The certificates in ${cert} cannot be read: ${messageOf(error)}`);
  }
}
