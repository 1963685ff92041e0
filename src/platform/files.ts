export * from './file-calls.ts';
export * from './folders.ts';
export * from './whole-file.ts';
