import type { Command } from '../command.ts';
import { architectureName, systemName, version } from '../version.ts';

/** `holdfast version`; needs no repository. */
export const command: Command = {
  name: 'version',
  summary: 'Print version information',
  description: 'Prints the version of this program, of the Node.js it runs on, and the platform.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: {},
  examples: [
    { text: 'print the version', command: 'holdfast version' },
    { text: 'print it for a program', command: 'holdfast version --json' },
  ],
  exitCodes: [0, 1],
  async run({ output }) {
    const runtime = `node${process.versions.node}`;
    const platform = { go_os: systemName(), go_arch: architectureName() };
    if (output.isJson) {
      output.json({ message_type: 'version', version, go_version: runtime, ...platform });
    } else {
      const { go_os, go_arch } = platform;
      output.line(`holdfast ${version} running with ${runtime} on ${go_os}/${go_arch}`);
    }
    return 0;
  },
};
