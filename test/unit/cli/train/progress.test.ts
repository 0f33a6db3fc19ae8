import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type JobEvent, parseEventStream } from '../../../../src/cli/jobs/event-stream.ts';
import { after, epochLine, progressLine, startOf } from '../../../../src/cli/train/progress.ts';

async function parsed(...chunks: readonly string[]): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of parseEventStream(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) events.push(event);
  return events;
}

describe('server-sent events', () => {
  it('are read however the stream is cut, comments left aside, an event that is cut off too', async () => {
    const text =
      ': connected\n\nid: 1\nevent: state\ndata: {"state":"über"}\n\n: still here\n\nid: 2\nevent: epoch\ndata: {"a":":"}\n\nid: 3\nev';
    const expected = [
      { id: 1, type: 'state', data: { state: 'über' } },
      { id: 2, type: 'epoch', data: { a: ':' } },
    ];
    expect(await parsed(text)).toEqual(expected);
    expect(await parsed(...Array.from(text))).toEqual(expected);
  });
});

const progressEvent = (epoch: number, step: number): JobEvent => ({
  id: 0,
  type: 'progress',
  data: { epoch, epochs: 4, step, steps: 40, loss: 0.5, learningRate: 0.1, examplesPerSecond: 200, etaSeconds: 3_725 },
});
const epochEvent = (epoch: number, metrics: Readonly<Record<string, number>>): JobEvent => ({
  id: 0,
  type: 'epoch',
  data: { epoch, metrics },
});

describe('progress', () => {
  it('is drawn as a bar with loss, accuracy and the time left, cut to the width', () => {
    let progress = after(startOf(4), epochEvent(1, { loss: 0.9, accuracy: 0.5, 'validation-accuracy': 0.25 }));
    progress = after(progress, progressEvent(2, 15));
    expect(progressLine(progress, 120)).toBe(
      'epoch 2/4  [████████░░░░░░░░░░░░] 37 %  loss 0.5000  accuracy 0.2500  ETA 1:02:05  200 examples/s',
    );
    expect(progressLine(progress, 20)).toHaveLength(20);
  });

  it('says of an epoch what was measured, and takes one that comes again for the one before', () => {
    const events = [epochEvent(1, { loss: 3 }), epochEvent(2, { loss: 2 }), epochEvent(2, { loss: 1 })];
    expect(events.reduce(after, startOf(2)).history).toEqual([{ loss: 3 }, { loss: 1 }]);
    expect(epochLine(1, 2, { loss: 0.5, precision: 1, 'validation-accuracy': 0.75 })).toBe(
      'epoch 1/2  loss 0.5000  validation-accuracy 0.7500',
    );
  });
});
