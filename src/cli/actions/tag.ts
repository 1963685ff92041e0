import { type TagChange, tagSnapshots } from '../../engine/tag.ts';
import type { Invocation } from '../command.ts';
import type { TagFlags } from '../commands/tag.ts';
import { usage } from '../parse.ts';
import { allTags, filterOf, selectSnapshots } from '../select-snapshots.ts';
import { withSession } from '../session.ts';

/** `holdfast tag`. */
export function tag(invocation: Invocation<TagFlags>): Promise<number> {
  const { flags, output, environment } = invocation;
  const change = changeOf(invocation);
  const options = { lock: 'exclusive', tellsLock: true, writes: true } as const;
  return withSession(invocation, options, async (session) => {
    const { repository, lock, signal, monitor } = session;
    const choice = { ids: invocation.arguments, filter: filterOf(flags) };
    const snapshots = await selectSnapshots(session, choice, output);
    const onChange = ({ oldId, newId }: { oldId: string; newId: string }): void => {
      if (!output.isJson)
        return output.verbose(`old snapshot ID: ${oldId} -> new snapshot ID: ${newId}`);
      output.json({ message_type: 'changed', old_snapshot_id: oldId, new_snapshot_id: newId });
    };
    const request = { change, lock, onChange, loadIndex: () => session.loadIndex() };
    const context = { environment, signal, monitor };
    const count = await tagSnapshots(repository, snapshots, request, context);
    if (output.isJson) output.json({ message_type: 'summary', changed_snapshots: count });
    else output.info(count === 0 ? 'no snapshots were modified' : `modified ${count} snapshots`);
    return session.exitCode();
  });
}

function changeOf({ flags }: Invocation<TagFlags>): TagChange {
  const isSet = flags.set.length > 0;
  const isEdit = flags.add.length > 0 || flags.remove.length > 0;
  if (isSet && isEdit) throw usage('--set and --add/--remove cannot be given at the same time');
  if (isSet) return { kind: 'set', tags: allTags(flags.set) };
  const add = allTags(flags.add);
  const remove = allTags(flags.remove);
  if (add.length === 0 && remove.length === 0) {
    throw usage('nothing to do', 'Say what to change with --set, --add or --remove.');
  }
  return { kind: 'edit', add, remove };
}
