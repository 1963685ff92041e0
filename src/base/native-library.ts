let isLoaded = false;

/** Notes that this thread has loaded the library that calls C functions. */
export function noteNativeLibrary(): void {
  isLoaded = true;
}

/**
 * True if this thread has loaded the library that calls C functions: when the process ends it syncs standard output and
 * standard error, and never comes to an end if that fails.
 */
export function hasNativeLibrary(): boolean {
  return isLoaded;
}
