import { UsageError } from './command.ts';

/** Where commands look when nothing is said. */
export const DEFAULT_SERVER = 'http://localhost:8080';

/** An address as it may be printed: that of `http://user:password@host` without who and by what. */
export function withoutCredentials(address: string): string {
  return address.replace(/\/\/[^/?#]*@/, '//');
}

/** `NAME:VALUE`, each. @throws UsageError */
export function headersOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const colon = text.indexOf(':');
      if (colon < 1) throw new UsageError(`--header takes NAME:VALUE, not ${text}`);
      return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
    }),
  );
}

/** @throws UsageError */
export function checkedServer(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text;
  throw new UsageError(`--server takes an address such as ${DEFAULT_SERVER}, not ${withoutCredentials(text)}`);
}
