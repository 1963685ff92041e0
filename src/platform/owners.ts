import { system } from './system.ts';

const userNames = new Map<number, string | undefined>();
const groupNames = new Map<number, string | undefined>();
const userIds = new Map<string, number | undefined>();
const groupIds = new Map<string, number | undefined>();

/** Name of the user with this id as the machine knows it, also through LDAP and the like; undefined if unknown. Cached. */
export function userName(uid: number): string | undefined {
  return remember(userNames, uid, (id) => system().userName(id));
}

/** Name of a group; see `userName`. */
export function groupName(gid: number): string | undefined {
  return remember(groupNames, gid, (id) => system().groupName(id));
}

/** Id of the user with this name; undefined if unknown. Cached. */
export function userId(name: string): number | undefined {
  return remember(userIds, name, (text) => system().userId(text));
}

/** Id of the group with this name; undefined if unknown. Cached. */
export function groupId(name: string): number | undefined {
  return remember(groupIds, name, (text) => system().groupId(text));
}

/** Most answers kept of each kind: a hostile snapshot may hold a name of its own for every file. */
const cacheSizeMax = 65_536;

function remember<Key, Value>(
  cache: Map<Key, Value | undefined>,
  key: Key,
  find: (key: Key) => Value | undefined,
): Value | undefined {
  const known = cache.get(key);
  if (known !== undefined || cache.has(key)) return known;
  const found = find(key);
  if (cache.size >= cacheSizeMax) cache.clear();
  cache.set(key, found);
  return found;
}
