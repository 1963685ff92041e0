/** Tree id of an empty directory, in hex. */
export const emptyTreeId = 'ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8';
