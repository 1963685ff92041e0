// Limits of the server: what one client may take of it. Sizes in bytes, times in milliseconds.

/** Connections at once. Each holds some 600 KiB at most while a file goes through it. */
export const connectionCountDefault = 1024;
/** Request line and headers together. */
export const headersSizeBytesMax: number = 16 << 10;
/** Headers of one request; those beyond are dropped. */
export const headerCountMax = 64;
/** From the first byte of a request, or from the start of a connection, to the end of its headers. */
export const headersMsMax = 20_000;
/** From the start of a connection to the end of its TLS handshake. */
export const handshakeMsMax = 15_000;
/** How often Node looks for requests whose headers take too long. */
export const headersCheckMs = 2_000;
/** How long a connection may wait for its next request: clients in Go give up theirs after 90 s, and must be the first to. */
export const keepAliveMs = 120_000;

/** Content that is collected before it is written to the disk in one call. */
export const receivePieceSizeBytes: number = 256 << 10;
/** Content that is read from the disk in one call. */
export const sendPieceSizeBytes: number = 128 << 10;
/** Content of a refused request that is read and dropped, so that its client gets to read why. */
export const droppedSizeBytesMax: number = 160 << 20;

/** What must move of a content within each window. */
export interface PaceRule {
  readonly windowMs: number;
  readonly sizeBytesMin: number;
}

/** The rule while a client sends content. */
export const receivePace: PaceRule = { windowMs: 60_000, sizeBytesMin: 64 << 10 };
/** The same while it takes some: the system may hold megabytes that were sent and not taken yet. */
export const sendPace: PaceRule = { windowMs: 300_000, sizeBytesMin: 64 << 10 };
/** How often that is looked at. */
export const paceCheckMs = 5_000;

/** Time for requests at work once the server is to stop; what then remains is cut off. */
export const drainMsMax = 3_500;
/** Time to clear away after what was cut off. */
export const clearMsMax = 1_000;

/** Longest user name and password of a request, in base64. */
export const credentialsSizeBytesMax: number = 4 << 10;
/** Verified credentials are trusted so long without another look at the password. */
export const credentialsMsMax = 600_000;
/** Verified credentials that are known at once. */
export const credentialsCountMax = 10_000;
/** Passwords that wait for a thread to verify them. */
export const verificationCountMax = 256;
/** The same of one address. */
export const verificationCountOfOneMax = 16;
/** Wrong passwords of one address and user before others must wait. */
export const wrongCountMax = 20;
/** Time after which one of them is forgotten. */
export const wrongForgottenMs = 3_000;

/** How often the file of users is looked at for a change. */
export const userFileCheckMs = 1_000;
/** Largest file of users. */
export const userFileSizeBytesMax: number = 8 << 20;
/** How often the files of a certificate are looked at for a change. */
export const certificateCheckMs = 10_000;
/** Largest file of a certificate or key. */
export const certificateSizeBytesMax: number = 1 << 20;

/** How often lines of the access log are written. */
export const logWriteMs = 500;
/** Lines that may wait for that; those beyond are dropped and counted. */
export const logLineCountMax = 20_000;
/** Series of the metrics: further repositories and users are counted under the name `other`. */
export const seriesCountMax = 10_000;
