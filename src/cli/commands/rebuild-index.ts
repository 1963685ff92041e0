import type { Command } from '../command.ts';
import { type RepairIndexFlags, repairIndex } from './repair.ts';

/** `holdfast rebuild-index`: `repair index` under its old name, which restic has, too. */
export const command: Command<RepairIndexFlags> = {
  ...repairIndex,
  name: 'rebuild-index',
  summary: 'Build a new index (old name of "repair index")',
  examples: [{ text: 'the same as "repair index"', command: 'holdfast rebuild-index' }],
};
