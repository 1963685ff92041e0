import { readText } from './project.ts';
import { type Finding, finding, type Rule } from './rule.ts';
import type { Reference, SourceFile } from './source-file.ts';

/** One room of the house. */
export interface Room {
  readonly name: string;
  /** Rooms, folders and files of rooms, all of rooms listed before this one; `*` is every room before it. */
  readonly imports: readonly string[];
  readonly builtins: readonly string[];
  readonly packages: readonly string[];
  /** Its folders may not import each other; a file beside them may not name them unless it is in `joints`. */
  readonly apart?: boolean;
  readonly joints?: readonly string[];
  /** What the files of one of its folders, or one file beside them, may use besides. */
  readonly folders?: Readonly<Record<string, Partial<Pick<Room, 'builtins' | 'packages'>>>>;
  /** What its tests may import besides. */
  readonly tests?: readonly string[];
}

/** A folder beside src/. It may use every Node builtin. */
export type Place = Pick<Room, 'imports' | 'packages'>;

/** The content of layers.json. */
export interface Layers {
  readonly rooms: readonly Room[];
  readonly places: Readonly<Record<string, Place>>;
  readonly testPackages: readonly string[];
  /** Files that are started by name: where reaching begins. */
  readonly entries: readonly string[];
}

/** The project's own layers. */
export function readLayers(): Layers {
  return JSON.parse(readText('layers.json'));
}

/** Rooms in an order, and allowances, that make no house: a room that imports one above it, or one that is not there. */
export function checkHouse(rooms: readonly Room[]): Finding[] {
  return rooms.flatMap((room, index) => {
    const below = rooms.slice(0, index).map(({ name }) => name);
    return room.imports
      .filter((allowed) => allowed !== '*' && !below.includes(roomNameIn(allowed)))
      .map((allowed) => finding('layers.json', 1, `${room.name} cannot stand on ${allowed}`));
  });
}

function roomNameIn(path: string): string {
  return path.split('/')[0] ?? '';
}

/** Holds every reference of every file against the layers. */
export function layersRule(layers: Layers): Rule {
  return (files) =>
    files.flatMap((file) => {
      const [top = '', name] = file.path.split('/');
      const place = layers.places[top];
      const room = layers.rooms.find((candidate) => candidate.name === name);
      const isHoused =
        top === 'src' ? room !== undefined && file.path.split('/').length > 2 : place;
      if (!isHoused) return [finding(file, 1, 'stands in no room or place of layers.json')];
      return file.references
        .filter(({ kind }) => kind !== 'path')
        .flatMap((reference) => {
          const wrong = room
            ? roomObjection({ layers, room, file }, reference)
            : place && placeObjection(top, place, reference);
          return wrong === undefined ? [] : [finding(file, reference.line, wrong)];
        });
    });
}

function placeObjection(name: string, place: Place, reference: Reference): string | undefined {
  const { target, targetKind } = reference;
  if (targetKind === 'builtin' || target.startsWith(`${name}/`)) return undefined;
  if (targetKind === 'package') {
    return place.packages.includes(target)
      ? undefined
      : `${name} may not use the package ${target}`;
  }
  const path = target.replace(/^src\//, '');
  // Tests look at everything: bench, scripts and documents are under test, too.
  if (place.imports.includes('*') || isAmong(place.imports, path)) return undefined;
  return isSource(target) ? `${name} may not import ${path}` : undefined;
}

/** True for code; data (a document, a fixture) is read, not imported. */
function isSource(target: string): boolean {
  return /\.(ts|mjs|js)$/.test(target);
}

/** A file that imports, and where it stands. */
interface Importer {
  readonly layers: Layers;
  readonly room: Room;
  readonly file: SourceFile;
}

/** What is wrong with a reference from a room, if anything. */
function roomObjection(importer: Importer, reference: Reference): string | undefined {
  const { layers, room, file } = importer;
  const { target, targetKind } = reference;
  const own = room.folders?.[file.path.split('/')[2] ?? ''];
  if (targetKind === 'builtin') {
    const isAllowed = file.isTest || among(target, room.builtins, own?.builtins);
    return isAllowed ? undefined : `${room.name} may not use ${target}`;
  }
  if (targetKind === 'package') {
    const isOfTests = file.isTest && layers.testPackages.includes(target);
    const isAllowed = isOfTests || among(target, room.packages, own?.packages);
    return isAllowed ? undefined : `${room.name} may not use the package ${target}`;
  }
  return fileObjection(importer, target);
}

function among(target: string, ...lists: readonly (readonly string[] | undefined)[]): boolean {
  return lists.some((list) => list?.includes(target));
}

function fileObjection(importer: Importer, target: string): string | undefined {
  const { layers, room, file } = importer;
  if (!target.startsWith('src/')) {
    return file.isTest ? undefined : `${room.name} may not reach outside src/: ${target}`;
  }
  const path = target.slice('src/'.length);
  const name = roomNameIn(path);
  if (name === room.name) return file.isTest ? undefined : apartObjection(room, file, path);
  if (file.isTest && isAmong(room.tests ?? [], path)) return undefined;
  const isBelow = layers.rooms.findIndex((r) => r.name === name) < layers.rooms.indexOf(room);
  if (room.imports.includes('*') && isBelow) return undefined;
  return isAmong(room.imports, path) ? undefined : `${room.name} may not import ${path}`;
}

/** True if `path` is one of `allowed` or below one. */
function isAmong(allowed: readonly string[], path: string): boolean {
  return allowed.some((entry) => path === entry || path.startsWith(`${entry.replace(/\/$/, '')}/`));
}

/** What is wrong with an import within a room whose folders stand apart. */
function apartObjection(room: Room, file: SourceFile, path: string): string | undefined {
  if (!room.apart) return undefined;
  const own = file.path.split('/').slice(2);
  const other = path.split('/').slice(1);
  if (other.length === 1) return undefined;
  if (own.length > 1 && own[0] === other[0]) return undefined;
  if (own.length === 1 && room.joints?.includes(own[0] ?? '')) return undefined;
  return `${own.slice(0, -1).join('/') || own[0]} may not know its neighbour ${other[0]}`;
}
