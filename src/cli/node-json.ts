import type { JsonWriter } from '../repository/json.ts';
import { formatTime, localZone } from '../repository/time-format.ts';
import type { TreeNode } from '../repository/tree.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatMode } from './node-format.ts';

/** Writes the fields that `ls` and `find` share, each with a comma before it. */
class FieldWriter {
  readonly #writer: JsonWriter;
  #isFirst = true;

  constructor(writer: JsonWriter) {
    this.#writer = writer;
    writer.ascii('{');
  }

  key(name: string): JsonWriter {
    this.#writer.ascii(`${this.#isFirst ? '' : ','}"${name}":`);
    this.#isFirst = false;
    return this.#writer;
  }

  text(name: string, value: string | Uint8Array): void {
    this.key(name).string(value);
  }

  optionalText(name: string, value: string | Uint8Array | undefined): void {
    if (value && value.length > 0) this.text(name, value);
  }

  number(name: string, value: number | bigint): void {
    this.key(name).ascii(String(value));
  }

  optionalNumber(name: string, value: number | bigint): void {
    if (value !== 0 && value !== 0n) this.number(name, value);
  }

  time(name: string, value: Timestamp): void {
    this.key(name).ascii(`"${formatTime(value, localZone)}"`);
  }

  end(): void {
    this.#writer.ascii('}');
  }
}

/** One line of `ls --json`. */
export function writeListedNode(writer: JsonWriter, path: Uint8Array, node: TreeNode): void {
  const fields = new FieldWriter(writer);
  fields.text('name', node.name);
  fields.text('type', node.type);
  fields.text('path', path);
  fields.number('uid', node.uid);
  fields.number('gid', node.gid);
  if (node.type === 'file') fields.number('size', node.sizeBytes);
  fields.optionalNumber('mode', node.mode);
  fields.text('permissions', formatMode(node.mode));
  fields.time('mtime', node.mtime);
  fields.time('atime', node.atime);
  fields.time('ctime', node.ctime);
  fields.optionalNumber('inode', node.inode);
  fields.text('message_type', 'node');
  fields.text('struct_type', 'node');
  fields.end();
}

/** One match of `find --json`. */
export function writeFoundNode(writer: JsonWriter, path: Uint8Array, node: TreeNode): void {
  const fields = new FieldWriter(writer);
  fields.text('path', path);
  fields.text('permissions', formatMode(node.mode));
  fields.text('type', node.type);
  fields.optionalNumber('mode', node.mode);
  fields.time('mtime', node.mtime);
  fields.time('atime', node.atime);
  fields.time('ctime', node.ctime);
  fields.number('uid', node.uid);
  fields.number('gid', node.gid);
  fields.optionalText('user', node.user);
  fields.optionalText('group', node.group);
  fields.optionalNumber('inode', node.inode);
  fields.optionalNumber('device_id', node.deviceId);
  fields.optionalNumber('size', node.sizeBytes);
  fields.optionalNumber('links', node.links);
  fields.optionalText('linktarget', node.linkTarget);
  fields.end();
}
