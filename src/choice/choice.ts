import type { DeviceKind, EngineName } from '../engines/engine.ts';

/** A way to run a model. */
export interface Candidate {
  readonly engine: EngineName;
  /** What computes inside the engine. */
  readonly backend: string;
  readonly device: DeviceKind;
}

/** What became of a candidate. */
export interface CandidateReport extends Candidate {
  /**
   * `taken`, `slower`; `differs`: its answers are others than those of the CPU; `absent`: it is not here; `failed`: it is
   * here and does not take the model; `untried`: nothing was measured.
   */
  readonly outcome: 'taken' | 'slower' | 'differs' | 'absent' | 'failed' | 'untried';
  /** Why, in words for users; empty where the outcome says it all. */
  readonly reason: string;
  /** Milliseconds until the answer is there, by the number of examples; those that were measured. */
  readonly runMs?: Readonly<Record<string, number>>;
}

/** Why a model runs as it does. */
export interface Choice {
  /**
   * `manifest` and `setting`: it was asked for; `measured`; `single`: nothing else here can run the model; `pending`: it is to
   * be measured; `unmeasured`: that could not be done.
   */
  readonly by: 'manifest' | 'setting' | 'measured' | 'single' | 'pending' | 'unmeasured';
  /** In words for users. */
  readonly reason: string;
  /** When it was measured, in ISO 8601. */
  readonly measuredAt?: string | undefined;
  readonly candidates: readonly CandidateReport[];
}
