import { openApiDocument } from '../src/server/http/open-api.ts';
import { allRoutes } from '../src/server/http/routes/all-routes.ts';

type Json = Readonly<Record<string, unknown>>;

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly operation: Json;
}

type Part = 'item' | 'entry' | 'answer';

/** Types with a name: an answer, or that of the items of a list, or of the field `entry` of a request. Longer ones hold shorter ones. */
const named: readonly (readonly [name: string, operation: string, part: Part])[] = [
  ['Session', 'getSession', 'answer'],
  ['User', 'getUsers', 'item'],
  ['Token', 'getTokens', 'item'],
  ['AuditRecord', 'getAudit', 'item'],
  ['Repository', 'getRepositories', 'item'],
  ['Policy', 'getPolicies', 'item'],
  ['Source', 'getSources', 'item'],
  ['Duty', 'getDuties', 'item'],
  ['Run', 'getRuns', 'item'],
  ['LogLine', 'getRunsIdLog', 'item'],
  ['Alert', 'getAlerts', 'item'],
  ['Snapshot', 'getRepositoriesNameSnapshots', 'item'],
  ['RepositoryEntry', 'postRepositories', 'entry'],
  ['PolicyEntry', 'postPolicies', 'entry'],
  ['SourceEntry', 'postSources', 'entry'],
];

/** The generated modules of `src/client`, not yet formatted: the API as types, from the document that the server gives. */
export function clientTexts(): Readonly<Record<'documents.ts' | 'operations.ts', string>> {
  const document = openApiDocument(allRoutes, '');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: String(operation['operationId']),
      method: method.toUpperCase(),
      path,
      operation,
    })),
  );
  const names = new Map<string, string>();
  const types = [
    typeOf(
      'ProblemDocument',
      'What is wrong with a request (RFC 9457).',
      typeText(document.components.schemas.Problem, names),
    ),
    '/** A part of a list. */\nexport interface Page<T> {\n readonly items: readonly T[];\n/** the cursor of the next page, if there is one */\nreadonly next?: string;\n}',
  ];
  for (const [name, id, part] of named) {
    const found = operations.find((one) => one.id === id);
    const text = typeText(found ? partOf(found, part) : undefined, names);
    types.push(
      typeOf(
        name,
        `${part === 'entry' ? 'What' : 'What is told by'} ${id}${part === 'entry' ? ' takes' : ''}.`,
        text,
      ),
    );
    if (!names.has(text)) names.set(text, name);
  }
  const entries = operations.map((one) => operationText(one, names));
  const rows = operations.map(({ id, method, path }) => `  ${id}: ['${method}', '${path}'],`);
  const mark = '// Generated from the schemas of the server: npm run client';
  const used = [...new Set(names.values())].filter((name) =>
    new RegExp(`\\b${name}\\b`).test(entries.join('\n')),
  );
  return {
    'documents.ts': [mark, ...types, ''].join('\n\n'),
    'operations.ts': [
      mark,
      `import type { ${['Page', ...used].toSorted().join(', ')} } from './documents.ts';`,
      `/** Every operation: what it takes and what it answers. */\nexport interface Operations {\n${entries.join('\n')}\n}`,
      `/** Method and path of every operation. */\nexport const places: { readonly [K in keyof Operations]: readonly [string, string] } = {\n${rows.join('\n')}\n};`,
      '',
    ].join('\n\n'),
  };
}

function typeOf(name: string, about: string, text: string): string {
  const isObject = text.startsWith('{') && !text.includes('\n} | ');
  const head = isObject ? `export interface ${name} ${text}` : `export type ${name} = ${text};`;
  return `/** ${about} */\n${head}`;
}

function operationText({ id, operation }: Operation, names: Map<string, string>): string {
  const parameters = (operation['parameters'] ?? []) as readonly Json[];
  const fields = ['path', 'query'].flatMap((place) => {
    const own = parameters.filter((one) => one['in'] === place);
    if (own.length === 0) return [];
    const texts = own.map(
      ({ name, required, schema }) =>
        `${fieldName(String(name), required === true)}: ${typeText(schema, names)};`,
    );
    const isNeeded = own.some(({ required }) => required === true);
    return [`readonly ${place}${isNeeded ? '' : '?'}: { ${texts.join(' ')} };`];
  });
  const body = bodyOf(operation);
  if (body !== undefined) fields.push(`readonly body: ${typeText(body, names)};`);
  const answer = answerOf(operation);
  const text =
    answer === 'events' ? "'events'" : answer === undefined ? 'undefined' : typeText(answer, names);
  return `  /** ${String(operation['summary'])}. Scope: ${String(operation['x-access'])}. */
  readonly ${id}: { ${fields.join(' ')} readonly answer: ${text} };`;
}

function bodyOf(operation: Json): unknown {
  return at(operation, 'requestBody', 'content', 'application/json', 'schema');
}

/** The schema of the answer; `events` if it is a stream of them. */
function answerOf(operation: Json): unknown {
  const [first] = Object.values((operation['responses'] ?? {}) as Json);
  if (at(first, 'content', 'text/event-stream') !== undefined) return 'events';
  return at(first, 'content', 'application/json', 'schema');
}

function partOf({ operation }: Operation, part: Part): unknown {
  if (part === 'answer') return answerOf(operation);
  return part === 'item'
    ? at(answerOf(operation), 'properties', 'items', 'items')
    : at(bodyOf(operation), 'properties', 'entry');
}

function at(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce<unknown>(
    (inner, name) =>
      typeof inner === 'object' && inner !== null ? (inner as Json)[name] : undefined,
    value,
  );
}

/** A JSON schema as a type. @throws what it does not know: nothing is guessed */
function typeText(schema: unknown, names: ReadonlyMap<string, string>): string {
  const text = plainText((schema ?? {}) as Json, names);
  return names.get(text) ?? text;
}

function plainText(schema: Json, names: ReadonlyMap<string, string>): string {
  const either = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(either)) return either.map((one) => typeText(one, names)).join(' | ');
  if (Array.isArray(schema['enum'])) return schema['enum'].map(literal).join(' | ');
  if (schema['const'] !== undefined) return literal(schema['const']);
  const { type } = schema;
  if (Array.isArray(type)) {
    return type.map((one) => typeText({ ...schema, type: one }, names)).join(' | ');
  }
  switch (type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'null':
      return 'null';
    case 'array':
      return `readonly (${typeText(schema['items'], names)})[]`;
    case 'object':
      return objectText(schema, names);
    case undefined:
      if (Object.keys(schema).every((name) => name === 'description')) return 'unknown';
  }
  throw new Error(`a schema that the client does not know: ${JSON.stringify(schema)}`);
}

function objectText(schema: Json, names: ReadonlyMap<string, string>): string {
  const item = at(schema, 'properties', 'items', 'items');
  if (item !== undefined && at(schema, 'properties', 'next') !== undefined) {
    return `Page<${typeText(item, names)}>`;
  }
  const required = new Set((schema['required'] ?? []) as readonly string[]);
  const fields = Object.entries((schema['properties'] ?? {}) as Json).map(([name, value]) => {
    const about = at(value, 'description');
    const comment = typeof about === 'string' ? `/** ${about} */\n` : '';
    return `${comment}${fieldName(name, required.has(name))}: ${typeText(value, names)};`;
  });
  if (fields.length > 0) return `{\n${fields.join('\n')}\n}`;
  const rest = schema['additionalProperties'];
  return `Readonly<Record<string, ${typeof rest === 'object' ? typeText(rest, names) : 'unknown'}>>`;
}

function fieldName(name: string, isRequired: boolean): string {
  const text = /^[a-z_]\w*$/i.test(name) ? name : `'${name}'`;
  return `readonly ${text}${isRequired ? '' : '?'}`;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
