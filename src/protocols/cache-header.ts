/**
 * Says where an answer came from where there is a response cache: `hit` from memory, `shared` by the run of an equal request,
 * `miss` by a run of its own. A header over HTTP, trailing metadata of unary calls over gRPC.
 */
export const CACHE_HEADER = 'x-slipway-cache';
