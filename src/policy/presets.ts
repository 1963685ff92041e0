import type { Policy } from '../contracts/policy.ts';

/** Names of policies to begin with, the strictest first. */
export const presetNames = ['gold', 'silver', 'bronze'] as const;

/** The name of a policy to begin with. */
export type PresetName = (typeof presetNames)[number];

/** Examples of policies, to be changed; `copyTo` is a second repository, which gold has. */
export function presetPolicy(
  name: PresetName,
  places: { readonly repository: string; readonly copyTo: string },
): Policy {
  const { repository, copyTo } = places;
  switch (name) {
    case 'gold':
      return {
        description: 'every hour, two places, everything read back each fortnight',
        repository,
        backup: { every: '1h' },
        'overdue-after': '4h',
        jitter: '10m',
        retention: {
          'keep-hourly': 48,
          'keep-daily': 14,
          'keep-weekly': 8,
          'keep-monthly': 12,
          'keep-yearly': 3,
          minimum: 5,
        },
        copies: [
          {
            repository: copyTo,
            when: { daily: ['21:00'] },
            retention: { 'keep-daily': 30, 'keep-monthly': 24, minimum: 5 },
          },
        ],
        prune: { when: { weekly: { on: ['sat'], at: ['03:00'] } } },
        verify: { within: '14d' },
        drill: { when: { weekly: { on: ['sun'], at: ['05:00'] } }, what: 'sample', files: 100 },
      };
    case 'silver':
      return {
        description: 'each night, everything read back each month',
        repository,
        backup: { daily: ['02:30'] },
        'overdue-after': '2d',
        jitter: '30m',
        retention: { 'keep-daily': 14, 'keep-weekly': 8, 'keep-monthly': 12, minimum: 3 },
        prune: { when: { weekly: { on: ['sat'], at: ['04:00'] } } },
        verify: { within: '30d' },
        drill: { when: { monthly: { on: [1], at: ['05:00'] } }, what: 'sample' },
      };
    case 'bronze':
      return {
        description: 'each week, kept for a year',
        repository,
        backup: { weekly: { on: ['sun'], at: ['02:30'] } },
        'overdue-after': '15d',
        jitter: '2h',
        retention: { 'keep-weekly': 8, 'keep-monthly': 12, minimum: 2 },
        prune: { when: { monthly: { on: [2], at: ['04:00'] } } },
        verify: { within: '90d', when: { weekly: { on: ['sun'], at: ['06:00'] } } },
        drill: { when: { yearly: { on: ['01-15', '07-15'], at: ['05:00'] } }, what: 'sample' },
      };
  }
}
