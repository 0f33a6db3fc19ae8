/*
 * Paths of routes are written as OpenAPI writes them: `/models/{name}`, with at most one parameter in a segment, and
 * maybe a verb behind it: `/v1/models/{name}:predict`.
 */

/** The path in Fastify's spelling. A colon behind a parameter ends it and is written twice. */
export function fastifyPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}:/g, ':$1(^[^:]+)::').replaceAll(/\{(\w+)\}/g, ':$1');
}

/** Matches the paths that a route takes. */
export function pathPattern(path: string): RegExp {
  const pattern = path
    .split(/(\{\w+\}:?)/)
    .map((part) => {
      if (!part.startsWith('{')) return RegExp.escape(part);
      return part.endsWith(':') ? '[^/:]+:' : '[^/]+';
    })
    .join('');
  return new RegExp(`^${pattern}$`);
}
