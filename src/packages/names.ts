import { z } from 'zod';

/** Models, labels: 1 to 128 letters, digits, `.`, `_` or `-`, not starting with a dot. */
export const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/, 'must be 1 to 128 letters, digits, ".", "_" or "-", not starting with "."');

/** A version is a positive integer; as a folder name it has no leading zero. */
export const versionSchema = z.int().positive();
