import { fairCoinPValue } from './binomial.ts';

/** How two classifiers do on the same examples. */
export interface PairedAccuracy {
  /** Shares of the examples whose class is right. */
  readonly parentAccuracy: number;
  readonly accuracy: number;
  /** `parentAccuracy` − `accuracy`: above 0 when the variant is worse. */
  readonly accuracyDrop: number;
  /** The drop is below this with a probability of 95 %. */
  readonly accuracyDropUpper95: number;
  /** Share of the examples that both give the same class. */
  readonly agreement: number;
  /** Examples that only one of them gets right. */
  readonly onlyParentRight: number;
  readonly onlyVariantRight: number;
  /** How likely a difference at least this large is by chance when both are equally good. */
  readonly pValue: number;
}

/** Of the standard normal distribution, one-sided 95 %. */
const Z95 = 1.6448536269514722;

/**
 * Compares two classifiers on the same examples. The p-value is McNemar's test (Q. McNemar, 1947) in its exact form: of the
 * examples that only one of them gets right, each is as likely to be the one's as the other's when both are equally good.
 * The bound of the drop is that of A. Agresti and Y. Min (Simple improved confidence intervals for comparing matched
 * proportions, 2005): Wald's with half an example added to each cell of the table.
 * @param parent class indexes, as `variant` and `labels`, example by example
 */
export function comparePaired(parent: ArrayLike<number>, variant: ArrayLike<number>, labels: ArrayLike<number>): PairedAccuracy {
  const count = labels.length;
  let [bothRight, onlyParentRight, onlyVariantRight, same] = [0, 0, 0, 0];
  for (let index = 0; index < count; index += 1) {
    const label = labels[index];
    if (parent[index] === variant[index]) same += 1;
    if (parent[index] === label && variant[index] === label) bothRight += 1;
    else if (parent[index] === label) onlyParentRight += 1;
    else if (variant[index] === label) onlyVariantRight += 1;
  }
  const [worse, better, all] = [onlyParentRight + 0.5, onlyVariantRight + 0.5, count + 2];
  const centre = (worse - better) / all;
  const deviation = Math.sqrt(worse + better - (worse - better) ** 2 / all) / all;
  return {
    parentAccuracy: (bothRight + onlyParentRight) / count,
    accuracy: (bothRight + onlyVariantRight) / count,
    accuracyDrop: (onlyParentRight - onlyVariantRight) / count,
    accuracyDropUpper95: Math.min(1, centre + Z95 * deviation),
    agreement: same / count,
    onlyParentRight,
    onlyVariantRight,
    pValue: fairCoinPValue(onlyParentRight, onlyParentRight + onlyVariantRight),
  };
}
