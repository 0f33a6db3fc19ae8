import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What is configured for pip and holds for us too: where packages come from, and how that place is reached. */
export interface PipSettings {
  /** The index pages, the first one first; empty when nothing names one. */
  readonly indexes: readonly string[];
  /** File of certificates of authorities beside those of the system. */
  readonly cert: string | undefined;
  readonly proxy: string | undefined;
}

const run = promisify(execFile);

/** Sections of pip.conf that hold for downloads, the later one before the earlier. */
const SECTIONS = ['global', 'download'];
const LOOKUP_MS = 30_000;

/** Python's INI: `key = value` under `[section]`, values go on in indented lines. */
function readIni(text: string): Map<string, string> {
  const values = new Map<string, string>();
  let section = '';
  let last = '';
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    const header = /^\[([^\]]+)\]\s*$/.exec(line);
    const pair = /^([^\s=:][^=:]*?)\s*[=:]\s*(.*)$/.exec(line);
    if (header !== null) section = header[1]!.trim();
    else if (/^\s/.test(line) && last !== '') values.set(last, `${values.get(last)} ${line.trim()}`.trim());
    else if (pair !== null) values.set((last = `${section}.${pair[1]!.toLowerCase().replaceAll('_', '-')}`), pair[2]!.trim());
  }
  return values;
}

/** The files that pip reads, in its order: for the machine, for the user, of the virtual environment, and the one named. */
function configFiles(env: Readonly<NodeJS.ProcessEnv>): string[] {
  const { PIP_CONFIG_FILE: named, VIRTUAL_ENV: virtual, XDG_CONFIG_HOME: configs } = env;
  if (named === '/dev/null') return [];
  const user = configs === undefined || configs === '' ? join(homedir(), '.config') : configs;
  return [
    '/etc/xdg/pip/pip.conf',
    '/etc/pip.conf',
    join(homedir(), '.pip', 'pip.conf'),
    join(user, 'pip', 'pip.conf'),
    ...(virtual === undefined ? [] : [join(virtual, 'pip.conf')]),
    ...(named === undefined ? [] : [named]),
  ];
}

/** Reads what is configured for pip, from its files and its variables; pip itself need not be there. */
export function readPipSettings(env: Readonly<NodeJS.ProcessEnv>): PipSettings {
  const merged = new Map<string, string>();
  for (const file of configFiles(env)) {
    if (!existsSync(file)) continue;
    const values = readIni(readFileSync(file, 'utf8'));
    for (const section of SECTIONS) {
      for (const [key, value] of values) if (key.startsWith(`${section}.`)) merged.set(key.slice(section.length + 1), value);
    }
  }
  const setting = (name: string): string | undefined =>
    env[`PIP_${name.toUpperCase().replaceAll('-', '_')}`] || merged.get(name) || undefined;
  const list = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((each) => each !== '');
  return {
    indexes: [...list(setting('index-url')), ...list(setting('extra-index-url'))],
    cert: setting('cert') ?? env['REQUESTS_CA_BUNDLE'] ?? env['SSL_CERT_FILE'],
    proxy: setting('proxy'),
  };
}

/** The index that pip takes when none is configured; undefined when there is no pip to ask. */
export async function askPipForIndex(env: Readonly<NodeJS.ProcessEnv>): Promise<string | undefined> {
  const program = 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)';
  for (const python of ['python3', 'python']) {
    try {
      const { stdout } = await run(python, ['-c', program], { env: { ...env }, timeout: LOOKUP_MS });
      if (URL.canParse(stdout.trim())) return stdout.trim();
    } catch {
      // not there, or without pip
    }
  }
  return undefined;
}
