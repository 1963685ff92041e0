import { estateKinds, type ServerEstate, type ServerKind } from './server-estate.ts';

/** What is to be done about one thing of an estate. */
export interface EstateChange {
  readonly kind: ServerKind;
  readonly name: string;
  readonly action: 'add' | 'change' | 'remove';
  readonly before: object | undefined;
  readonly after: object | undefined;
}

/** What must change for `have` to become `want`: what others refer to comes first, and is removed last. */
export function estateDifference(have: ServerEstate, want: ServerEstate): EstateChange[] {
  const puts = estateKinds.flatMap((kind) =>
    [...want[kind]].flatMap(([name, after]): EstateChange[] => {
      const before = have[kind].get(name);
      if (before === undefined) return [{ kind, name, action: 'add', before, after }];
      if (canonical(before) === canonical(after)) return [];
      return [{ kind, name, action: 'change', before, after }];
    }),
  );
  const removals = estateKinds.toReversed().flatMap((kind) =>
    [...have[kind]]
      .filter(([name]) => !want[kind].has(name))
      .map(([name, before]): EstateChange => {
        return { kind, name, action: 'remove', before, after: undefined };
      }),
  );
  return [...puts, ...removals];
}

const singular: Readonly<Record<ServerKind, string>> = {
  repositories: 'repository',
  policies: 'policy',
  sources: 'source',
};

const signs = { add: '+', change: '~', remove: '-' } as const;

/** A change as lines for people: what it is, and the fields that become others. */
export function changeLines({ kind, name, action, before, after }: EstateChange): string[] {
  const head = `${signs[action]} ${singular[kind]} ${name}`;
  if (action === 'remove') return [head];
  const [old, next] = [fieldsOf(before), fieldsOf(after)];
  const fields = [...new Set([...Object.keys(old), ...Object.keys(next)])].toSorted();
  const lines = fields
    .map((field) => [field, canonical(old[field]), canonical(next[field])] as const)
    .filter(([, from, to]) => from !== to)
    .map(([field, from, to]) =>
      action === 'add'
        ? `    ${field}: ${to}`
        : `    ${field}: ${from || '(nothing)'} -> ${to || '(nothing)'}`,
    );
  return [head, ...lines];
}

function fieldsOf(value: object | undefined): Record<string, unknown> {
  return { ...value };
}

/** JSON with sorted names: equal for what is the same. Empty for what is not there. */
function canonical(value: unknown): string {
  const sorted = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  ) as string | undefined;
  return sorted ?? '';
}
