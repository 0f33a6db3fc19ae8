import { describe, expect, it } from 'vitest';
import { clientOfAddress, createClientIdentity } from '../../../src/protocols/client-identity.ts';

const BY_ADDRESS = { identifiedBy: 'address', header: 'X-Api-Key', trustedProxies: 0 } as const;

describe('a client', () => {
  it('is an IPv4 address, however it is written', () => {
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '10.1.2.3:4711']) expect(clientOfAddress(address)).toBe('10.1.2.3');
  });

  it('is the network of an IPv6 address', () => {
    for (const address of ['2001:db8:0:7::1', '2001:0db8:0000:0007:ffff::2', '[2001:db8:0:7:1:2:3:4]:443', '2001:DB8::7:0:0:0:9']) {
      expect(clientOfAddress(address)).toBe('2001:db8:0:7::/64');
    }
    expect(clientOfAddress('2001:db8:0:8::1')).toBe('2001:db8:0:8::/64');
    expect(clientOfAddress('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(clientOfAddress('::1')).toBe('0:0:0:0::/64');
  });

  it('is told by its address whatever it forwards, unless proxies are trusted', () => {
    const identity = createClientIdentity(BY_ADDRESS);
    expect(identity.headers).toEqual([]);
    expect(identity.of('10.0.0.1', { 'x-forwarded-for': '1.1.1.1', 'x-api-key': 'k' })).toBe('10.0.0.1');
    expect(identity.of(undefined, {})).toBe('');
  });

  it('is the address that the outermost trusted proxy saw', () => {
    const behind = (trustedProxies: number, forwarded?: string): string =>
      createClientIdentity({ ...BY_ADDRESS, trustedProxies }).of('10.0.0.1', { 'x-forwarded-for': forwarded });
    const forged = '6.6.6.6, 1.1.1.1, 10.0.0.2';
    expect(behind(1, forged)).toBe('10.0.0.2');
    expect(behind(2, forged)).toBe('1.1.1.1');
    expect(behind(3, '1.1.1.1, 10.0.0.2')).toBe('1.1.1.1');
    expect(behind(1)).toBe('10.0.0.1');
    expect(createClientIdentity({ ...BY_ADDRESS, trustedProxies: 1 }).headers).toEqual(['x-forwarded-for']);
  });

  it('is the key in its header, and its address without one', () => {
    const identity = createClientIdentity({ ...BY_ADDRESS, identifiedBy: 'header' });
    expect(identity.headers).toEqual(['x-api-key']);
    expect(identity.of('10.0.0.1', { 'x-api-key': 'k1' })).toBe('key:k1');
    expect(identity.of('10.0.0.1', { 'x-api-key': '' })).toBe('10.0.0.1');
    // A key that looks like an address is another client than the address.
    expect(identity.of('10.0.0.1', { 'x-api-key': '10.0.0.1' })).not.toBe('10.0.0.1');
    const long = (last: string): string => identity.of('10.0.0.1', { 'x-api-key': `${'k'.repeat(5_000)}${last}` });
    expect(long('a').length).toBeLessThan(100);
    expect(long('a')).not.toBe(long('b'));
  });

  it('is nobody when clients are not told apart', () => {
    expect(createClientIdentity({ ...BY_ADDRESS, identifiedBy: 'nothing' }).of('10.0.0.1', { 'x-api-key': 'k' })).toBe('');
  });
});
