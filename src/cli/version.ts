/** The version of this package; equal to the one in package.json. */
export const version = '0.1.0';

/** What snapshots name as the program that wrote them. */
export const programVersion: string = `holdfast ${version}`;

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const systems: Readonly<Record<string, string>> = { win32: 'windows' };

/** The operating system as Go calls it. */
export function systemName(): string {
  return systems[process.platform] ?? process.platform;
}

/** The processor architecture as Go calls it. */
export function architectureName(): string {
  return architectures[process.arch] ?? process.arch;
}
