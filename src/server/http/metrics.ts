import type { Services } from './services.ts';

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly samples: readonly Sample[];
}

/** Numbers in the text format of Prometheus. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export async function metricsText(services: Services): Promise<string> {
  const { runs, alerts, control } = services;
  const [counts, openAlerts, duties] = await Promise.all([
    runs.counts(),
    alerts.openCount(),
    runs.duties(),
  ]);
  const ended = counts.filter(({ state }) => state === 'ended');
  const stateCount = (wanted: string): number =>
    counts.filter(({ state }) => state === wanted).reduce((sum, { count }) => sum + count, 0);
  const successes = [...duties].flatMap(([duty, { lastSuccessMs }]) =>
    lastSuccessMs === undefined ? [] : [{ labels: { duty }, value: lastSuccessMs / 1000 }],
  );
  const metrics: Metric[] = [
    {
      name: 'holdfast_runs_ended_total',
      help: 'Runs that have ended, by how',
      kind: 'counter',
      samples: ended.map(({ outcome, count }) => ({
        labels: { outcome: outcome ?? '' },
        value: count,
      })),
    },
    {
      name: 'holdfast_runs_queued',
      help: 'Runs that wait',
      kind: 'gauge',
      samples: [{ value: stateCount('queued') }],
    },
    {
      name: 'holdfast_runs_running',
      help: 'Runs under way, on all servers',
      kind: 'gauge',
      samples: [{ value: stateCount('running') }],
    },
    {
      name: 'holdfast_runs_running_here',
      help: 'Runs under way on this server',
      kind: 'gauge',
      samples: [{ value: control.runningCount }],
    },
    {
      name: 'holdfast_alerts_open',
      help: 'What is wrong now',
      kind: 'gauge',
      samples: [{ value: openAlerts }],
    },
    {
      name: 'holdfast_duty_last_success_seconds',
      help: 'When each duty succeeded last, in seconds since 1970',
      kind: 'gauge',
      samples: successes,
    },
  ];
  return metrics.map(metricText).join('');
}

function metricText({ name, help, kind, samples }: Metric): string {
  const lines = samples.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
    return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines, ''].join('\n');
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
