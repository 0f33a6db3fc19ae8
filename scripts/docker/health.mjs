// The image's health check: status 0 when the server answers that it lives.
const port = process.env.SLIPWAY_PORT ?? '8080';
const answer = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(2_000) });
process.exitCode = answer.ok ? 0 : 1;
