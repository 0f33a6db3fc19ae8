import type { NamedTensors } from '../tensor/tensor.ts';
import type { Cancellation } from '../scheduler/types.ts';
import type { CacheTimes } from './response-cache.ts';
import type { ModelReference, Patience, ReadyVersion } from '../registry/types.ts';

/** The head of a request, before its body: headers of HTTP, metadata of gRPC. */
export interface RequestHead {
  /** @param name in lower case. */
  header(name: string): string | undefined;
}

/** What tells a request from others before anything of it is decoded. */
export type Requester = Pick<Caller, 'client' | 'head'>;

/** Whoever sent a request, and how long they wait for its answer. */
export interface Caller {
  /** A name that tells clients apart, for turns and quotas; empty when they are all one. */
  readonly client: string;
  /** Moment by which the answer must be there, on the `performance.now()` clock; the server's limit when undefined. */
  readonly deadline: number | undefined;
  /** Aborted when the client goes away. */
  readonly signal: Cancellation | undefined;
  /** Undefined for requests that have none. */
  readonly head?: RequestHead | undefined;
}

/** What every protocol turns its bytes into. */
export interface InferenceRequest extends Caller {
  readonly reference: ModelReference;
  readonly inputs: NamedTensors;
  /** Names of the wanted outputs; all of them when undefined. */
  readonly outputs: readonly string[] | undefined;
  /** 1 goes first, then 2 and so on; the server's default when undefined or 0. */
  readonly priority?: number | undefined;
}

/** Where the time of a request went, in milliseconds. */
export interface PhaseTimes {
  /** When it came to the data plane, on the `performance.now()` clock. */
  readonly startedAt: number;
  readonly queueMs: number;
  /** Inside the engine; of the whole batch, when the request was run in one. */
  readonly computeMs: number;
  /** From the data plane's start to its end, both of the above and the way to the runner and back included. */
  readonly totalMs: number;
  /** Where the answer came from and the time that it took to look there, in milliseconds; undefined without a response cache. */
  readonly cache?: CacheTimes | undefined;
}

export interface InferenceResponse {
  readonly model: string;
  readonly version: number;
  readonly outputs: NamedTensors;
  readonly times: PhaseTimes;
  /** The run of the engine that the request was part of. */
  readonly run: {
    /** Rows of all requests in it. */
    readonly rows: number;
    /** True for one request of each run. */
    readonly leads: boolean;
    /** As `Completion.batch`. */
    readonly batch?: object | undefined;
  };
}

/** Whose answer it is, and where its time went. */
export type InferenceTimes = Pick<InferenceResponse, 'model' | 'version' | 'times' | 'run'>;

/** Told how long a protocol took to decode a request and to encode its answer, in milliseconds. */
export type OnInference = (inference: InferenceTimes, decodeMs: number, encodeMs: number) => void;

/** The one data plane behind every protocol. */
export interface Inference {
  /**
   * The version that will answer, at once or else once it is in memory; protocols need its signature to decode a body.
   * @param requester of a request that is to be run, so that it may have part in a rollout. What only asks about the model leaves it out.
   * @param patience how long to wait for it, no longer than for any request.
   * @throws SlipwayError as `Registry.demand`, and SHUTTING_DOWN.
   */
  resolve(reference: ModelReference, requester?: Requester, patience?: Partial<Patience>): ReadyVersion | Promise<ReadyVersion>;
  /** Checks the inputs against the signature, waits for a place and runs. */
  predict(version: ReadyVersion, request: Omit<InferenceRequest, 'reference'>): Promise<InferenceResponse>;
}
