import type { EncodedError } from '../errors/encode.ts';
import type { MissingDevice, WarmUpOptions } from '../engines/engine.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Placement, ToldInfo } from './runner.ts';

/*
 * What host and child say to each other: the header of each frame. The host checks what it receives with zod
 * (host/read-message.ts). The child checks by hand (child/read-message.ts): zod would cost each runner 18 MB and
 * 50 ms of its start.
 */

/** Raised whenever a message or the frame changes; host and child refuse each other when theirs differ. */
export const PROTOCOL_VERSION = 7;

/** One tensor of the body; the tensors lie there in the order of their headers. */
export interface TensorHeader {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes in the body, without padding. */
  readonly bytes: number;
}

export interface LoadMessage {
  readonly kind: 'load';
  readonly protocol: number;
  readonly placement: Omit<Placement, 'verify'>;
  readonly warmUp: WarmUpOptions;
  readonly missingDevice: MissingDevice;
}

export interface RunMessage {
  readonly kind: 'run';
  readonly id: number;
  /** Names of the wanted outputs. */
  readonly outputs: readonly string[];
  /** One of the model's other signatures. */
  readonly signatureName?: string | undefined;
  readonly tensors: readonly TensorHeader[];
}

/** Runs are answered one after the other in the order sent; a ping is answered as soon as the event loop is free. */
export type HostMessage =
  | LoadMessage
  | RunMessage
  | { readonly kind: 'ping'; readonly id: number }
  /** Finish the run under way, drop the rest, end. */
  | { readonly kind: 'stop' };

export type ChildMessage =
  /** Sent first, before the child does anything else. */
  | { readonly kind: 'hello'; readonly protocol: number }
  | { readonly kind: 'loaded'; readonly info: ToldInfo }
  | { readonly kind: 'load-failed'; readonly error: EncodedError }
  | { readonly kind: 'result'; readonly id: number; readonly computeNs: number; readonly tensors: readonly TensorHeader[] }
  /** The run of this id failed; the child goes on. */
  | { readonly kind: 'error'; readonly id: number; readonly error: EncodedError }
  /** With the resident memory of the process, for systems that tell it to nobody else, and what it takes of a GPU, where that is told. */
  | { readonly kind: 'pong'; readonly id: number; readonly memoryBytes: number; readonly deviceBytes?: number | undefined }
  /** The child met a defect and ends itself now. */
  | { readonly kind: 'fatal'; readonly message: string };
