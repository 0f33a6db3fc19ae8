import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { REFERENCE_PAGES } from '../../../scripts/reference/pages.ts';
import { CATALOGUE } from '../../../src/errors/catalogue.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function sources(folder: string): string {
  const files = readdirSync(`${ROOT}${folder}`, { recursive: true, withFileTypes: true });
  return files
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && entry.name !== 'catalogue.ts')
    .map((entry) => readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8'))
    .join('\n');
}

describe('the reference pages', () => {
  it.each(Object.entries(REFERENCE_PAGES))('%s is what the code says; run `npm run generate` when it is not', (name, page) => {
    expect(readFileSync(`${ROOT}docs/reference/${name}`, 'utf8')).toBe(page());
  });

  it('list no error that nothing throws', () => {
    const code = sources('src');
    expect(Object.keys(CATALOGUE).filter((each) => !code.includes(`'${each}'`))).toEqual([]);
  });

  it('cover every link of the README', () => {
    const readme = readFileSync(`${ROOT}README.md`, 'utf8');
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(() => readFileSync(`${ROOT}${link}`), link).not.toThrow();
  });
});
