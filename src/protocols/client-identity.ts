import { createHash } from 'node:crypto';

export interface ClientIdentityOptions {
  /** By the address that they come from, by a header, or not at all. */
  readonly identifiedBy: 'address' | 'header' | 'nothing';
  /** The header, or key of gRPC's metadata, in any case. A request without it is told by its address. */
  readonly header: string;
  /** Proxies in front of the server that each add the address they were called from to `X-Forwarded-For`. */
  readonly trustedProxies: number;
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Tells clients apart, so that they have turns and quotas. */
export interface ClientIdentity {
  /** The headers that it looks at, in lower case. */
  readonly headers: readonly string[];
  /**
   * A name for whoever sent a request; empty when clients are not told apart. What a header says is believed.
   * @param address of the other end of the connection.
   * @param headers by their names in lower case.
   */
  of(address: string | undefined, headers: Headers): string;
}

const FORWARDED_FOR = 'x-forwarded-for';

/** Longer keys are kept as digests, so that a name is no memory to speak of. */
const LONGEST_KEY = 128;

const IPV4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i;

/**
 * One name for all addresses of a client: an IPv4 address without a port, or the 64 bits of an IPv6 address that stand for
 * a network, since whoever has one has all of its addresses (RFC 6177).
 */
export function clientOfAddress(address: string): string {
  const ipv4 = IPV4.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  const bare = (/^\[(.*)\]/.exec(address)?.[1] ?? address).replace(/%.*$/, '');
  if (!bare.includes(':')) return bare;
  const [before = '', after] = bare.toLowerCase().split('::');
  const groups = before === '' ? [] : before.split(':');
  if (after !== undefined) {
    const last = after === '' ? [] : after.split(':');
    while (groups.length + last.length < 8) groups.push('0');
    groups.push(...last);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

function textOf(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : (value?.join(',') ?? '');
}

export function createClientIdentity({ identifiedBy, header, trustedProxies }: ClientIdentityOptions): ClientIdentity {
  const keyHeader = header.toLowerCase();

  /** The address that the outermost trusted proxy was called from; those before it, the client has written itself. */
  function addressOf(address: string | undefined, headers: Headers): string {
    const forwarded = trustedProxies === 0 ? '' : textOf(headers[FORWARDED_FOR]);
    if (forwarded === '') return address ?? '';
    const hops = forwarded.split(',');
    return hops[Math.max(0, hops.length - trustedProxies)]!.trim();
  }

  if (identifiedBy === 'nothing') return { headers: [], of: () => '' };
  return {
    headers: [...(identifiedBy === 'header' ? [keyHeader] : []), ...(trustedProxies > 0 ? [FORWARDED_FOR] : [])],
    of(address, headers) {
      if (identifiedBy === 'header') {
        const key = textOf(headers[keyHeader]);
        // A key can't pass for an address.
        if (key !== '') return `key:${key.length <= LONGEST_KEY ? key : createHash('sha256').update(key).digest('base64')}`;
      }
      return clientOfAddress(addressOf(address, headers));
    },
  };
}
