/** What went wrong, in words: problem details (RFC 9457), or what can be said without them. */

const WITHOUT_DETAILS = {
  0: ['Service out of reach', 'No answer came. Check the connection, or whether the service runs.'],
  413: ['File too large', 'What stands before the service does not let files of this size through.'],
  502: ['Service out of reach', 'What stands before the service could not reach it.'],
  504: ['No answer in time', 'What stands before the service waited too long for its answer.'],
};

export class Problem extends Error {
  /**
   * @param {number} status of the answer; 0 where none came
   * @param {{type?: string, title?: string, detail?: string, errors?: object[]}} details
   * @param {number|null} retryAfter seconds, where the answer names them
   */
  constructor(status, details = {}, retryAfter = null) {
    const [title, detail] = WITHOUT_DETAILS[status]
      ?? ['Unexpected answer', `The service answered with status ${status}.`];
    super(details.detail ?? detail);
    this.status = status;
    this.title = details.title ?? title;
    this.told = Boolean(details.title);
    this.errors = details.errors; // of each photo, where all have failed
    this.retryAfter = retryAfter;
  }

  /** Whether the photo is not to blame. */
  get passing() {
    return this.status === 0 || this.status >= 500 || [401, 403, 408, 429].includes(this.status);
  }

  get detail() {
    return this.message;
  }

  /** Whether no answer of the service came. */
  get outOfReach() {
    return this.status === 0 || (this.status === 502 && !this.told);
  }

  /** Seconds after which the same request is worth another try, null where it is not. */
  patience(attempt) {
    if (this.status === 503 || this.status === 429) {
      return this.retryAfter ?? 5;
    }
    return this.outOfReach && attempt <= 4 ? 2 ** attempt : null;
  }
}

/** Seconds from a Retry-After header, which may name a moment instead. */
export function seconds(retryAfter) {
  if (!retryAfter) {
    return null;
  }
  const given = /^\d+$/.test(retryAfter)
    ? Number(retryAfter)
    : (Date.parse(retryAfter) - Date.now()) / 1000;
  return Number.isFinite(given) ? Math.max(given, 0) : null;
}

/** A file that is no longer what was chosen. */
export const fileLost = (name = 'The file') => new Problem(410, {
  title: 'File changed or gone',
  detail: `${name} was changed, moved or removed since it was chosen. Choose it again.`,
});

const UNREADABLE = ['NotFoundError', 'NotReadableError']; // DOMExceptions of a file like that
const REST = /\s*[^.]*\bdamaged=accept\./; // what an API's user does about it; here, a button
const HEADERS = /\s*[^.]*\bX-API-Key\b[^.]*\./; // here, a dialog

/**
 * Any error as words for the user.
 *
 * @returns {{title: string, detail: string, again: boolean, rest?: boolean}} and whether to try
 *     again may help, and whether what is left of a damaged photo can be had
 */
export function inWords(error) {
  if (UNREADABLE.includes(error?.name)) {
    return inWords(fileLost());
  }
  if (!(error instanceof Problem)) {
    const said = String(error?.message ?? error).replace(/\.$/, '');
    return { again: true, title: 'This page failed', detail: `${said}. Load the page again.` };
  }
  return {
    title: error.title,
    detail: error.detail.replace(REST, '').replace(HEADERS, ''),
    again: error.passing,
    rest: REST.test(error.detail),
  };
}
