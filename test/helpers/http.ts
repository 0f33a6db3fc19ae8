import { expect } from 'vitest';

export interface Failure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly path: string; readonly message: string }[];
}

/** Sends a body; JSON unless another type is given. */
export function post(address: string, path: string, body?: RequestInit['body'], contentType = 'application/json'): Promise<Response> {
  return fetch(`${address}${path}`, {
    method: 'POST',
    ...(body !== undefined && body !== null && { headers: { 'content-type': contentType }, body }),
  });
}

/** Reads an error of the native API and checks its shape. */
export async function failureOf(response: Response): Promise<Failure> {
  const { error } = (await response.json()) as { error: Omit<Failure, 'status'> & { requestId: string } };
  expect(error.requestId).toBe(response.headers.get('x-request-id'));
  return { status: response.status, code: error.code, message: error.message, details: error.details };
}
