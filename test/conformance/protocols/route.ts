import type { Read } from './json.ts';
import type { DType, Tensor } from './tensor.ts';

/** One request of a model, without a protocol. */
export interface InferRequest {
  readonly model: string;
  readonly version?: number;
  readonly inputs: readonly (readonly [name: string, tensor: Tensor])[];
  /** Names of the wanted outputs; all when left out. */
  readonly outputs?: readonly string[];
  /** The dtype of each output that the answer will have, since not every protocol says it. */
  readonly outputTypes: Readonly<Record<string, DType>>;
}

/** What not every protocol says: the dtypes of inputs, the name of a single one, the shapes. */
export type Said = 'types' | 'names' | 'shapes';

/** What is wrong with a request, in terms that every protocol has. */
export const ERROR_KINDS = ['invalid_argument', 'not_found', 'failed_precondition'] as const;
export type ErrorKind = (typeof ERROR_KINDS)[number];

/** The outputs of an answer by name: raw bytes where the protocol carries them, elements where it does not. */
export type Outputs = ReadonlyMap<string, Tensor | Read>;

export type Outcome = { readonly outputs: Outputs } | { readonly status: number; readonly message: string };

/** One way of a request through one protocol. */
export interface Route {
  readonly name: string;
  readonly protocol: string;
  /** What a request says, so that it can be wrong. */
  readonly says: readonly Said[];
  /** The status by which an error of each kind is answered: of HTTP, or of gRPC. */
  readonly statuses: Readonly<Record<ErrorKind, number>>;
  /** Whether the protocol has a form for this request and its answer. */
  carries(request: InferRequest): boolean;
  /** @throws Error when the answer breaks the protocol, or none comes. */
  send(request: InferRequest): Promise<Outcome>;
}

export interface Target {
  /** E.g. `http://127.0.0.1:8080`. */
  readonly http: string;
  /** E.g. `127.0.0.1:9000`; routes over gRPC are left out without it. */
  readonly grpc?: string;
}
