import { z } from 'zod';
import { numberMark } from '../../contracts/paging.ts';
import type { Route } from './route.ts';

type Json = Record<string, unknown>;

/** What the document says of the API. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: Json;
  /** Operations by path and method. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly components: {
    readonly schemas: { readonly Problem: Json };
    readonly securitySchemes: Json;
  };
}

/** What an answer of each kind may say besides, for all routes. */
const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string().meta({ description: 'of docs/ERRORS.md' }),
  detail: z.string().optional(),
  hint: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  'request-id': z.string(),
});

/** The API as OpenAPI 3.1, made of the schemas that hold requests and answers. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes.filter(({ path }) => path.startsWith('/api/'))) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemSchema, 'output') },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'a token of POST /api/v1/tokens' },
        session: { type: 'apiKey', in: 'cookie', name: 'holdfast' },
      },
    },
  };
}

function operationOf(route: Route): Json {
  const { access, summary, body, method } = route;
  const parameters = [
    ...parametersOf(route.parameters, 'path'),
    ...parametersOf(route.query, 'query'),
    ...(method === 'POST' && access !== 'public' ? [idempotencyHeader] : []),
  ];
  const problem = { $ref: '#/components/schemas/Problem' };
  return {
    summary,
    operationId: operationId(route),
    'x-access': access,
    security: access === 'public' ? [] : [{ token: [] }, { session: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body
      ? {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: jsonSchema(body, 'input') } },
          },
        }
      : {}),
    responses: {
      ...successOf(route),
      default: {
        description: 'it failed',
        content: { 'application/problem+json': { schema: problem } },
      },
    },
  };
}

const idempotencyHeader: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'a request with the same key is answered the same for a day, and done once',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
};

function successOf(route: Route): Json {
  if (route.kind === 'events') {
    return { 200: { description: 'events', content: { 'text/event-stream': {} } } };
  }
  if (route.kind === 'text') return { 200: { description: 'text' } };
  const { answer, status } = route;
  if (!answer) return { [status ?? 204]: { description: 'done' } };
  const content = { 'application/json': { schema: jsonSchema(answer, 'output') } };
  return { [status ?? 200]: { description: 'the answer', content } };
}

/** The fields of an object that a path or a query is. */
function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(
    ([name, { description, [numberMark]: number, ...rest }]) => ({
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: number ?? rest,
    }),
  );
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
  return rest;
}

/** `getRunsIdLog`: the method and the path, as a name of a function. */
function operationId({ method, path }: Route): string {
  const words = path.replace('/api/v1/', '').split(/[^A-Za-z0-9]+/);
  const name = words.filter((word) => word !== '').map(capitalized);
  return [method.toLowerCase(), ...name].join('');
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
