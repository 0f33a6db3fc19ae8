/** A line of a plot: values by epoch, and the mark of its points. */
export interface Series {
  readonly name: string;
  readonly mark: string;
  readonly values: readonly number[];
}

export interface PlotSize {
  /** Of the whole plot, in characters. */
  readonly width: number;
  /** Of the field of the points, in lines. */
  readonly height: number;
}

function label(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(3);
}

/**
 * Values over the epochs as text, one line each; the first epoch is on the left. Where there are more epochs than
 * columns, a column shows the mean of its epochs. Empty when there are fewer than two epochs.
 */
export function plotOf(series: readonly Series[], { width, height }: PlotSize): string[] {
  const shown = series.filter(({ values }) => values.length > 1 && values.every(Number.isFinite));
  if (shown.length === 0) return [];
  const all = shown.flatMap(({ values }) => values);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const labels = [label(high), label(low)];
  const margin = Math.max(...labels.map((text) => text.length));
  const epochs = Math.max(...shown.map(({ values }) => values.length));
  const columns = Math.max(2, Math.min(width - margin - 2, epochs));
  // Few epochs are spread over the width, so that the slope can be seen.
  const stretch = Math.max(1, Math.floor((width - margin - 3) / Math.max(1, columns - 1)));
  const field = Array.from({ length: height }, () => Array<string>((columns - 1) * stretch + 1).fill(' '));
  for (const { mark, values } of shown.toReversed()) {
    for (let column = 0; column < columns; column += 1) {
      const part = values.slice(Math.floor((column * epochs) / columns), Math.floor(((column + 1) * epochs) / columns));
      if (part.length === 0) continue;
      const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
      const row = high === low ? height - 1 : Math.round(((high - mean) / (high - low)) * (height - 1));
      field[row]![column * stretch] = mark;
    }
  }
  const lines = field.map((row, index) => {
    const text = index === 0 ? labels[0]! : index === height - 1 ? labels[1]! : '';
    return `${text.padStart(margin)} │${row.join('')}`.trimEnd();
  });
  const names = shown.map(({ name, mark }) => `${mark} ${name}`).join('   ');
  return [
    ...lines,
    `${' '.repeat(margin)} └${'─'.repeat((columns - 1) * stretch + 1)}`,
    `${' '.repeat(margin)}  ${names}, epochs 1 to ${epochs}`,
  ];
}
