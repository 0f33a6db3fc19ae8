import { messageOf } from '../errors/slipway-error.ts';
import { InstallError } from './install-error.ts';

/*
 * The index protocol of Python packages ("simple repository API",
 * https://packaging.python.org/specifications/simple-repository-api/), in both of its forms: JSON and HTML.
 */

/** A file that an index offers. */
export interface IndexFile {
  readonly name: string;
  readonly url: string;
  readonly sha256: string | undefined;
  /** Withdrawn by its authors. */
  readonly isYanked: boolean;
  /** Header of requests for it, where the index needs a password. */
  readonly authorization: string | undefined;
}

const MEDIA_TYPES = 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01';
const PAGE_MS = 60_000;

/** An address for messages: without the password that it may hold. */
export function withoutPassword(address: string): string {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url.href;
}

/** fetch takes no passwords in addresses. */
function authorizationOf(address: string): string | undefined {
  const { username, password } = new URL(address);
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
}

function decodeEntities(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (decimal !== undefined) return String.fromCodePoint(Number.parseInt(decimal, 10));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return named[name ?? ''] ?? whole;
  });
}

type Listed = Pick<IndexFile, 'name' | 'url' | 'sha256' | 'isYanked'>;

function readHtml(html: string, page: string): Listed[] {
  const base = /<base\s[^>]*href\s*=\s*["']([^"']+)["']/i.exec(html)?.[1] ?? page;
  return [...html.matchAll(/<a\s([^>]*)>([^<]*)<\/a>/gi)].flatMap(([, attributes = '', text = '']) => {
    const href = /href\s*=\s*["']([^"']*)["']/i.exec(attributes)?.[1];
    if (href === undefined) return [];
    const url = new URL(decodeEntities(href), base);
    const sha256 = /sha256=([0-9a-f]{64})/.exec(url.hash)?.[1];
    url.hash = '';
    return [{ name: decodeEntities(text).trim(), url: url.href, sha256, isYanked: /\bdata-yanked\b/.test(attributes) }];
  });
}

interface JsonPage {
  readonly files?: readonly {
    readonly filename: string;
    readonly url: string;
    readonly hashes?: { readonly sha256?: string };
    readonly yanked?: boolean | string;
  }[];
}

function readJson(text: string, page: string): Listed[] {
  return ((JSON.parse(text) as JsonPage).files ?? []).map(({ filename, url, hashes, yanked }) => ({
    name: filename,
    url: new URL(url, page).href,
    sha256: hashes?.sha256,
    isYanked: yanked !== undefined && yanked !== false,
  }));
}

/** The files of a project on one index; none when it has no such project. */
async function filesOn(index: string, project: string): Promise<IndexFile[]> {
  const shown = withoutPassword(index);
  const page = new URL(`${project.toLowerCase().replaceAll(/[-_.]+/g, '-')}/`, shown.endsWith('/') ? shown : `${shown}/`);
  const authorization = authorizationOf(index);
  let response: Response;
  let text: string;
  try {
    response = await fetch(page, {
      headers: { accept: MEDIA_TYPES, ...(authorization && { authorization }) },
      signal: AbortSignal.timeout(PAGE_MS),
    });
    text = await response.text();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? ` (${messageOf(error.cause)})` : '';
    throw new InstallError(`The package index ${page.href} cannot be reached: ${messageOf(error)}${cause}.`);
  }
  if (response.status === 404) return [];
  if (!response.ok) throw new InstallError(`The package index answers ${response.status} to ${page.href}.`);
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  try {
    const listed = isJson ? readJson(text, response.url) : readHtml(text, response.url);
    const { origin } = page;
    return listed.map((file) => ({ ...file, authorization: new URL(file.url).origin === origin ? authorization : undefined }));
  } catch (error) {
    throw new InstallError(`What the package index answers to ${page.href} is no page of a project: ${messageOf(error)}.`);
  }
}

/** The files of a project on the indexes, those of the first index first. @throws InstallError when one can't be asked. */
export async function listFiles(indexes: readonly string[], project: string): Promise<IndexFile[]> {
  const pages = await Promise.all(indexes.map((index) => filesOn(index, project)));
  return pages.flat();
}
