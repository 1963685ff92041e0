import type { Schema } from '../../contracts/schema.ts';
import {
  type PolicyView,
  policyView,
  type RepositoryView,
  repositoryView,
  type SourceView,
  sourceView,
} from '../../contracts/views.ts';
import type { Invocation } from '../command.ts';
import { safeText } from '../safe-text.ts';
import { ServerClient } from '../server-client.ts';
import type { ServerFlags } from '../server-flags.ts';
import { type Column, formatTable } from '../table.ts';

type Kind = 'repositories' | 'policies' | 'sources';
type View = RepositoryView | PolicyView | SourceView;

const views: Readonly<Record<Kind, Schema<View>>> = {
  repositories: repositoryView,
  policies: policyView,
  sources: sourceView,
};

const columns: readonly Column<View>[] = [
  { title: 'Name', cell: ({ name }) => safeText(name) },
  { title: 'What', cell: (view) => safeText(whatText(view)) },
];

/** `holdfast repositories list` and its kin. */
export async function listNamed(kind: Kind, invocation: Invocation<ServerFlags>): Promise<number> {
  const { output } = invocation;
  const found = await ServerClient.of(invocation).all(`/api/v1/${kind}`, views[kind]);
  if (output.isJson) for (const view of found) output.line(jsonText(kind, view));
  else if (found.length > 0) for (const line of formatTable(columns, found)) output.line(line);
  return 0;
}

/** `holdfast repositories show` and its kin. */
export async function showNamed(kind: Kind, invocation: Invocation<ServerFlags>): Promise<number> {
  const { output } = invocation;
  const call = `GET ${placeOf(kind, invocation)}`;
  const view = await ServerClient.of(invocation).ask({ call }, views[kind]);
  if (output.isJson) {
    output.line(jsonText(kind, view));
    return 0;
  }
  for (const [name, value] of Object.entries(view.entry)) {
    output.line(`${safeText(name)}: ${safeText(JSON.stringify(value))}`);
  }
  for (const sentence of 'sentences' in view ? view.sentences : []) output.line(safeText(sentence));
  if ('secrets' in view && view.secrets.length > 0) {
    output.line(`secrets that are kept: ${view.secrets.map(safeText).join(', ')}`);
  }
  if ('problem' in view && view.problem !== undefined) {
    output.line(`problem: ${safeText(view.problem)}`);
  }
  return 0;
}

/** `holdfast repositories remove` and its kin. */
export async function removeNamed(
  kind: Kind,
  invocation: Invocation<ServerFlags>,
): Promise<number> {
  await ServerClient.of(invocation).send({ call: `DELETE ${placeOf(kind, invocation)}` });
  return 0;
}

function placeOf(kind: Kind, { arguments: [name = ''] }: Invocation<ServerFlags>): string {
  return `/api/v1/${kind}/${encodeURIComponent(name)}`;
}

/** In one line: where a repository is, what a policy means, what a source has. */
function whatText(view: View): string {
  if ('sentences' in view) return view.sentences[0] ?? '';
  const { location, paths, kind } = view.entry;
  if (typeof location === 'string') return location;
  return Array.isArray(paths) ? paths.join(', ') : String(kind);
}

function jsonText(kind: Kind, view: View): string {
  const type = { repositories: 'repository', policies: 'policy', sources: 'source' }[kind];
  return JSON.stringify({ message_type: type, ...view });
}
