/** Requests to the service: progress of uploads, keys, and waiting where it is busy. */

import { lost } from './files.js';
import { key, askForKey } from './key.js';
import { fileLost, Problem, seconds } from './problem.js';

const ROOT = new URL('../../', import.meta.url);

/** The address of one of the service's paths, also where it lies below another path. */
export const address = (path) => new URL(path, ROOT);

/** Events: 'away' (detail: why) where nobody answers, 'back' where somebody does. */
export const service = new EventTarget();

const LONGEST_S = 15; // between looks for a service that is away
let resumeAt = 0; // before this moment (performance.now) nothing is sent
let reason = '';

/**
 * Colorize one photo, for as long as it takes: waits while the service is busy or out of reach.
 *
 * @param {Blob} file
 * @param {string} name of the file
 * @param {Record<string, string|Blob>} fields options
 * @param {{signal?: AbortSignal, told?: (state: string, more?: object) => void}} how
 *     told gets 'uploading' {share}, 'colouring', 'waiting' {seconds, why}
 * @returns {Promise<{blob: Blob, version: string, confidence: number, places: number[][]}>} the last
 *     two where they are asked for
 * @throws {Problem} what another try would not mend
 */
export async function colorize(file, name, fields, { signal, told = () => {} } = {}) {
  const form = formOf(fields, [{ file, name }]);
  const response = await patiently(() => send('colorize', form, {}, signal, told), signal, told);
  return {
    blob: response.body,
    version: response.header('X-Model-Version') ?? '?',
    confidence: Number(response.header('X-Photo-Confidence')),
    places: pairs(response.header('X-Hint-Places')),
  };
}

/**
 * Colorize photos in one request, for as long as it takes; what becomes of each, in their order.
 *
 * @param {{file: Blob, name: string}[]} photos
 * @param {Record<string, string|Blob>} fields options
 * @param {{signal?: AbortSignal, told?: (state: string, more?: object) => void}} how as `colorize`
 * @returns {Promise<{blob?: Blob, version?: string, problem?: Problem}[]>}
 * @throws {Problem} of the request as a whole
 */
export async function colorizeTogether(photos, fields, { signal, told = () => {} } = {}) {
  const form = formOf(fields, photos);
  const wanted = { Accept: 'application/json' };
  try {
    const { body } = await patiently(() => send('colorize', form, wanted, signal, told), signal, told);
    const manifest = JSON.parse(await body.text());
    return manifest.photos.map(({ problem, status, image, media_type: type }) => (problem
      ? { problem: new Problem(status, problem) }
      : { blob: decoded(image, type), version: String(manifest.model_version) }));
  } catch (error) {
    if (error instanceof Problem && error.errors?.length === photos.length) {
      return error.errors.map((each) => ({ problem: new Problem(each.status, each) }));
    }
    throw error;
  }
}

function decoded(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type });
}

/**
 * Hand photos in as a job, for as long as that takes.
 *
 * @param {{file: Blob, name: string}[]} photos
 * @param {Record<string, string>} fields options
 * @param {{signal?: AbortSignal, told?: (state: string, more?: object) => void}} how as `colorize`
 * @returns {Promise<{id: string}>} the job
 * @throws {Problem}
 */
export async function submit(photos, fields, { signal, told = () => {} } = {}) {
  const form = formOf(fields, photos);
  const once = { 'Idempotency-Key': crypto.randomUUID?.() ?? `${Math.random()}${Math.random()}` };
  const { body } = await patiently(() => send('jobs', form, once, signal, told), signal, told);
  return JSON.parse(await body.text());
}

/**
 * A request without a body, for as long as it takes.
 *
 * @returns {Promise<Response>} whose body comes yet
 * @throws {Problem}
 */
export function ask(path, how = {}) {
  return patiently(() => once(path, how), how.signal);
}

/**
 * All of an answer, asked for anew where the connection ends within it.
 *
 * @returns {Promise<Blob>}
 * @throws {Problem}
 */
export function fetched(path, { signal }) {
  return patiently(async () => unbroken((await once(path, { signal })).blob(), signal), signal);
}

async function once(path, { signal, method = 'GET', headers = {} }) {
  const all = { ...headers, ...authorization() };
  const response = await unbroken(fetch(address(path), { method, headers: all, signal }), signal);
  if (!response.ok) {
    throw await problemOf(response.status, (name) => response.headers.get(name), response);
  }
  return response;
}

const unbroken = (coming, signal) => coming.catch(() => {
  signal?.throwIfAborted();
  throw new Problem(0);
});

/** Server-sent events; ends early where the connection does. EventSource would send no key. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) {
      return;
    }
    text += value;
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const told = Object.fromEntries(block.split(/\r?\n/).filter((line) => !line.startsWith(':'))
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
      if (told.data) {
        yield { kind: told.event, id: told.id, data: JSON.parse(told.data) };
      }
    }
  }
}

/** Do something until it is answered: waits while the service is busy, wants a key, or is away. */
async function patiently(once, signal, told = () => {}) {
  let away = false;
  for (let attempt = 1; ; attempt += 1) {
    await rested(signal, told);
    const used = key();
    try {
      const answered = await once();
      service.dispatchEvent(new Event('back'));
      return answered;
    } catch (problem) {
      if (!(problem instanceof Problem)) {
        throw problem;
      }
      if (problem.status === 401) {
        await askForKey(problem, used, signal);
        continue;
      }
      let patience = problem.patience(attempt);
      if (patience === null) {
        const was = away && problem.outOfReach;
        away = await isAway(problem, signal);
        if (away) {
          patience = LONGEST_S;
        } else if (was) { // it came back just now
          attempt = 0;
          continue;
        } else {
          throw problem;
        }
      }
      rest(patience, problem);
    }
  }
}

/** Whether nobody answers anything: else it is this request that comes to nothing. */
async function isAway(problem, signal) {
  return problem.outOfReach
    && !(await fetch(address('healthz'), { signal }).then(({ ok }) => ok, () => false));
}

/**
 * GET JSON, null where there is none to be had.
 *
 * @param {string} path
 * @param {AbortSignal} [signal] of somebody who can wait until the user has given a key
 * @throws {Problem} a key was asked for, and none was given
 */
export async function read(path, signal) {
  for (;;) {
    const used = key();
    const response = await fetch(address(path), { headers: authorization(), signal }).catch(() => null);
    signal?.throwIfAborted();
    if (response?.status !== 401 || !signal) {
      return response?.ok ? response.json().catch(() => null) : null;
    }
    await askForKey(new Problem(401, await parsed(response)), used, signal);
  }
}

/** Not by Authorization, which a proxy may want for itself. */
function authorization() {
  return key() ? { 'X-API-Key': key() } : {};
}

/** Let nobody send before so many seconds are over, and a little more, not all at once. */
function rest(patience, problem) {
  const until = performance.now() + 1000 * patience * (1 + 0.2 * Math.random());
  if (until > resumeAt) {
    resumeAt = until;
    reason = problem.title;
  }
  if (problem.outOfReach) {
    service.dispatchEvent(new CustomEvent('away', { detail: problem.title }));
  }
}

async function rested(signal, told) {
  for (;;) {
    signal?.throwIfAborted();
    const left = resumeAt - performance.now();
    if (left <= 0) {
      return;
    }
    told('waiting', { seconds: Math.ceil(left / 1000), why: reason });
    await pause(Math.min(left, 1000), signal);
  }
}

// The network is there again: look at once.
addEventListener('online', () => { resumeAt = 0; });

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

function formOf(fields, photos) {
  const form = new FormData();
  Object.entries(fields).forEach(([option, value]) => form.append(option, value));
  photos.forEach(({ file, name }) => form.append('file', file, name));
  return form;
}

/** One request. Not by fetch, which does not tell how much of a body is sent. */
function send(path, form, headers, signal, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open('POST', address(path));
    for (const [header, value] of Object.entries({ ...headers, ...authorization() })) {
      request.setRequestHeader(header, value);
    }
    request.responseType = 'blob';
    told('uploading', { share: 0 });
    request.upload.onprogress = (event) => {
      told('uploading', { share: event.total ? event.loaded / event.total : 0 });
    };
    request.upload.onload = () => told('colouring');
    request.onabort = () => reject(signal.reason);
    request.onerror = async () => {
      const name = await lost(form);
      reject(name ? fileLost(name) : new Problem(0));
    };
    request.onload = () => answer(request, headers.Accept ?? 'image/').then(resolve, reject);
    request.onloadend = () => signal?.removeEventListener('abort', abort);
    signal?.addEventListener('abort', abort, { once: true });
    request.send(form);
  });
}

async function answer(request, accepted) {
  const header = (name) => request.getResponseHeader(name);
  const wanted = request.status === 202 || (header('Content-Type') ?? '').startsWith(accepted);
  if (request.status < 300 && wanted) {
    return { body: request.response, header };
  }
  throw await problemOf(request.status, header, request.response);
}

async function problemOf(status, header, body) {
  const details = (header('Content-Type') ?? '').includes('json') ? await parsed(body) : {};
  return new Problem(status, details, seconds(header('Retry-After')));
}

async function parsed(body) {
  try {
    return JSON.parse(await body.text()) ?? {};
  } catch {
    return {};
  }
}

/** "x,y x,y" in numbers. */
function pairs(text) {
  return (text ?? '').split(' ').filter(Boolean).map((pair) => pair.split(',').map(Number));
}
