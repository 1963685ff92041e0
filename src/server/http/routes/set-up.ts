import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../../../base/errors.ts';
import { type SetUpRequest, setUpRequestSchema } from '../../../contracts/accounts.ts';
import { jsonRoute, type Route, type RouteRequest, type TextAnswer, textRoute } from '../route.ts';
import { assertGoodPassword } from './accounts.ts';

const linkQuery = z.strictObject({ token: z.string().min(1).max(200) });

/** The first user: by the link that the server printed, once. */
export const setUpRoutes: readonly Route[] = [
  jsonRoute({
    method: 'POST',
    path: '/api/v1/set-up',
    access: 'public',
    summary: 'Make the first user, with the token of the set-up link',
    body: setUpRequestSchema,
    status: 201,
    handle: setUp,
  }),
  textRoute({
    method: 'GET',
    path: '/set-up',
    access: 'public',
    summary: 'The page of the set-up link',
    query: linkQuery,
    handle: async ({ query: { token } }) => page(formOf(token)),
  }),
  textRoute({
    method: 'POST',
    path: '/set-up',
    access: 'public',
    summary: 'What the page of the set-up link sends',
    body: setUpRequestSchema,
    takesForm: true,
    handle: async (request) => {
      try {
        await setUp(request);
      } catch (error) {
        if (!isHoldfastError(error) || error.row.httpStatus >= 500) throw error;
        return page(`<p role="alert">${escape(error.message)}</p>`, error.row.httpStatus);
      }
      return page(
        '<p>This server is set up. Sign in through the API: docs/SERVER.md shows how.</p>',
      );
    },
  }),
];

async function setUp(request: RouteRequest<unknown, unknown, SetUpRequest>): Promise<void> {
  const { body, services, address } = request;
  const { accounts, passwords, setUp: link, tries, state, audit } = services;
  const { token, name, password } = body;
  tries.assertMayTry('set-up', address);
  if (await accounts.isSetUp()) throw isSetUp();
  if (!link.isRight(token)) {
    tries.wrong('set-up', address);
    throw new HoldfastError('NOT_ALLOWED', {
      message: 'the set-up link does not count any more',
      hint: 'Start the server again: it prints a new one.',
    });
  }
  assertGoodPassword(password, name);
  const hash = await passwords.hash(password);
  await state.transaction(async (db) => {
    await accounts.addFirst(db, { name, password: hash });
    const actor = `user:${name}`;
    await audit.add(db, { actor, address, action: 'set-up', object: name, decision: 'done' });
  });
  link.use();
}

function isSetUp(): HoldfastError {
  return new HoldfastError('STATE_CONFLICT', { message: 'this server is set up already' });
}

function page(content: string, status = 200): TextAnswer {
  const head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">';
  const text = `<!doctype html><html lang="en"><head>${head}<title>Holdfast</title></head><body><h1>Holdfast</h1>${content}</body></html>\n`;
  return { type: 'text/html; charset=utf-8', text, status };
}

function formOf(token: string): string {
  return `<p>Make the first user of this server.</p>
<form method="post" action="/set-up">
<input type="hidden" name="token" value="${escape(token)}">
<p><label>Name <input name="name" required maxlength="63" autocomplete="username" autocapitalize="none"></label></p>
<p><label>Password, at least 12 characters <input name="password" type="password" required minlength="12" maxlength="256" autocomplete="new-password"></label></p>
<p><button>Make the first user</button></p>
</form>`;
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
