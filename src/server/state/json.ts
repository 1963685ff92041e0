// oxlint-disable typescript/no-unnecessary-type-parameters -- it names what was stored, where it is read

/** A value that this program stored as JSON, in the form in which it was stored. */
export function storedJson<T>(text: string): T {
  // Only what passed a schema, or was built here, is ever stored.
  return JSON.parse(text) as T;
}
