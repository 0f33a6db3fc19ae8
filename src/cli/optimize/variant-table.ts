/** A variant as `GET /optimize-jobs/{id}` and the event `variant` have it, as far as it is shown. */
export interface ShownVariant {
  readonly techniques: readonly { readonly kind: string; readonly share?: number; readonly clusters?: number }[];
  readonly verdict: string;
  readonly reasons: readonly string[];
  readonly onFront: boolean;
  readonly measurement?: {
    readonly sizeBytes: number;
    readonly sizeRatio: number;
    readonly accuracy: number;
    readonly latencies: readonly { readonly batch: number; readonly ms: number; readonly speedup: number }[];
    readonly comparison: { readonly accuracyDrop: number; readonly agreement: number; readonly pValue: number };
  };
}

export interface ShownParent {
  readonly model: string;
  readonly version: number;
  readonly engine: string;
  readonly sizeBytes: number;
  readonly accuracy: number;
  readonly latencies: readonly { readonly batch: number; readonly ms: number }[];
}

/** `prune-filters 0.5 + int8` */
export function nameOf({ techniques }: Pick<ShownVariant, 'techniques'>): string {
  return techniques.map(({ kind, share, clusters }) => [kind, share, clusters].filter((each) => each !== undefined).join(' ')).join(' + ');
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function rowOf(variant: ShownVariant): string[] {
  const { measurement, verdict, onFront } = variant;
  const name = `${nameOf(variant)}${onFront ? ' *' : ''}`;
  if (measurement === undefined) return [name, '', '', '', '', '', verdict];
  const { sizeBytes, sizeRatio, accuracy, latencies, comparison } = measurement;
  return [
    name,
    `${sizeText(sizeBytes)} (÷ ${sizeRatio.toFixed(2)})`,
    latencies.map(({ batch, ms, speedup }) => `${batch}: ${ms.toPrecision(3)} ms (÷ ${speedup.toFixed(2)})`).join('  '),
    percent(accuracy),
    percent(comparison.agreement),
    comparison.pValue.toPrecision(2),
    verdict,
  ];
}

const HEAD = ['variant', 'size', 'time by batch', 'accuracy', 'agreement', 'p', 'verdict'];

/** The parent and its variants, a row each, and below why variants were turned down. */
export function variantTable(parent: ShownParent, variants: readonly ShownVariant[]): string[] {
  const times = parent.latencies.map(({ batch, ms }) => `${batch}: ${ms.toPrecision(3)} ms`).join('  ');
  const rows = [
    HEAD,
    [`${parent.model}/${parent.version}, ${parent.engine}`, sizeText(parent.sizeBytes), times, percent(parent.accuracy), '', '', ''],
    ...variants.map(rowOf),
  ];
  const widths = HEAD.map((_name, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  const reasons = variants.flatMap((variant) => variant.reasons.map((reason) => `${nameOf(variant)}: ${reason}`));
  return [...lines, '* on the Pareto front', ...(reasons.length === 0 ? [] : ['', ...reasons])];
}
