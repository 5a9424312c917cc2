/** Bytes that are handed out as they come. The server ends the iteration, whether all went or the device left. */
export interface AnswerStream {
  readonly length: number;
  readonly parts: () => AsyncGenerator<Uint8Array, void, undefined>;
}

/** What a handler returns; the server writes it. A handler never touches the socket. */
export interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body?: Uint8Array;
  /** In place of a body: bytes of a known length that come one part after the other. */
  readonly stream?: AnswerStream;
  readonly headers?: Readonly<Record<string, string>>;
}

export const ok = (body?: Uint8Array, type = 'application/xml'): Answer =>
  body === undefined ? { status: 200 } : { status: 200, type, body };

const text = (status: number, words: string): Answer => ({
  status,
  type: 'text/plain',
  body: Buffer.from(`${words}\n`),
});

/** 400 and never 401: a phone that reads 401 leaves management. */
export const refused = text(400, 'The request was refused.');
export const notFound = text(404, 'There is nothing here.');
export const gone = text(410, 'This enrolment link is spent or has expired. Ask your administrator for a new one.');
export const busy = text(503, 'Try again in a moment.');
export const later: Answer = { ...busy, headers: { 'Retry-After': '5' } };
export const slow = text(408, 'The message came too slowly.');
