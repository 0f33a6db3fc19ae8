import { describe, expect, it } from 'vitest';
import { encodePrometheus } from '../../../src/observability/prometheus.ts';

describe('encodePrometheus', () => {
  it('writes the text format, with labels escaped, and leaves out what has no sample', () => {
    const text = encodePrometheus([
      { name: 'a_total', help: 'How many.', type: 'counter', samples: [{ labels: { name: 'x"\\\n' }, value: 2 }] },
      { name: 'b', help: 'None.', type: 'gauge', samples: [] },
      { name: 'c_seconds', help: 'Times.', type: 'histogram', samples: [{ suffix: '_bucket', labels: { le: '+Inf' }, value: 1 }] },
      { name: 'd', help: 'Bare.', type: 'gauge', samples: [{ labels: {}, value: 0.5 }] },
    ]);
    expect(text).toBe(
      '# HELP a_total How many.\n# TYPE a_total counter\na_total{name="x\\"\\\\\\n"} 2\n' +
        '# HELP c_seconds Times.\n# TYPE c_seconds histogram\nc_seconds_bucket{le="+Inf"} 1\n' +
        '# HELP d Bare.\n# TYPE d gauge\nd 0.5\n',
    );
  });
});
