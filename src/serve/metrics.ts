import { seriesCountMax } from './limits.ts';

/** What was done with a file. */
export type Deed = 'write' | 'read' | 'delete';

/** Whose file it was. */
export interface FileLabels {
  readonly user: string;
  /** Folders of the repository with slashes between. */
  readonly repo: string;
  readonly type: string;
}

interface Sum {
  readonly labels: string;
  count: number;
  sizeBytes: number;
}

const participles: Readonly<Record<Deed, readonly [string, string]>> = {
  write: ['written', 'written to blobs'],
  read: ['read', 'read from blobs'],
  delete: ['deleted', 'deleted from blobs'],
};

/** A number that is asked for when somebody looks. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  value(): number;
}

/**
 * Counts what the server does, and tells it in the text format of Prometheus. What is counted of files has the names and labels
 * that restic's rest-server gives it, so that its dashboards go on.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export class Metrics {
  readonly #files: Readonly<Record<Deed, Map<string, Sum>>> = {
    write: new Map(),
    read: new Map(),
    delete: new Map(),
  };
  readonly #requests: Map<string, number> = new Map();
  readonly #gauges: readonly Gauge[];

  constructor(gauges: readonly Gauge[]) {
    this.#gauges = gauges;
  }

  file(deed: Deed, labels: FileLabels, sizeBytes: number): void {
    const sums = this.#files[deed];
    let text = labelsOf(labels);
    if (!sums.has(text) && sums.size >= seriesCountMax) {
      text = labelsOf({ ...labels, user: 'other', repo: 'other' });
    }
    const sum = sums.get(text) ?? { labels: text, count: 0, sizeBytes: 0 };
    sum.count++;
    sum.sizeBytes += sizeBytes;
    sums.set(text, sum);
  }

  request(method: string, status: number): void {
    const known = ['GET', 'HEAD', 'POST', 'DELETE'].includes(method) ? method : 'other';
    const labels = `{method="${known}",code="${status}"}`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  /** All of it, as Prometheus reads it. */
  text(): string {
    const lines: string[] = [];
    for (const deed of ['write', 'read', 'delete'] as const) {
      const sums = [...this.#files[deed].values()];
      const [what, ofBytes] = participles[deed];
      const name = `rest_server_blob_${deed}`;
      lines.push(...head(`${name}_total`, 'counter', `Total number of blobs ${what}`));
      lines.push(...sums.map(({ labels, count }) => `${name}_total${labels} ${count}`));
      lines.push(...head(`${name}_bytes_total`, 'counter', `Total number of bytes ${ofBytes}`));
      lines.push(
        ...sums.map(({ labels, sizeBytes }) => `${name}_bytes_total${labels} ${sizeBytes}`),
      );
    }
    lines.push(
      ...head('holdfast_serve_requests_total', 'counter', 'Requests by method and status'),
    );
    for (const [labels, count] of this.#requests) {
      lines.push(`holdfast_serve_requests_total${labels} ${count}`);
    }
    for (const gauge of this.#gauges) {
      const value = gauge.value();
      if (!Number.isFinite(value)) continue;
      lines.push(...head(gauge.name, gauge.kind, gauge.help), `${gauge.name} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

function head(name: string, kind: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`];
}

function labelsOf({ repo, type, user }: FileLabels): string {
  return `{repo="${escaped(repo)}",type="${escaped(type)}",user="${escaped(user)}"}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
