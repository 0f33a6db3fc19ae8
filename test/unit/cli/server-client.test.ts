import { describe, expect, it } from 'vitest';
import { checkedServer, withoutCredentials } from '../../../src/cli/server-arguments.ts';
import { createServerClient } from '../../../src/cli/server-client.ts';

describe('the address of a server', () => {
  it.each([
    ['http://user:secret@host:8080/base', 'http://host:8080/base'],
    ['https://token@host', 'https://host'],
    ['http://host/@name', 'http://host/@name'],
    ['http://localhost:8080', 'http://localhost:8080'],
  ])('%s is printed as %s', (given, printed) => expect(withoutCredentials(given)).toBe(printed));

  it('is refused without its password', () => {
    expect(() => checkedServer('ftp://user:secret@host')).toThrow('not ftp://host');
  });

  it('is named without its password when nobody answers', async () => {
    // Port 1 of this machine: nobody listens there.
    const client = createServerClient({ server: 'http://user:secret@127.0.0.1:1', headers: {} });
    await expect(client.send('/models')).rejects.toThrow(/^There is no answer from http:\/\/127\.0\.0\.1:1: (?!.*secret)/);
  });
});
