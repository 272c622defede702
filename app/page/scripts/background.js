/**
 * Photos that the service does as jobs: it has them once they are sent, and goes on whether this page
 * is open or not. Results are shown as they come, and fetched again when the page is opened again.
 */

import { wish } from './album.js';
import { hide } from './focus.js';
import { Lanes } from './lanes.js';
import { checkBytes } from './limits.js';
import { fields, key } from './options.js';
import { prepare } from './preview.js';
import { inWords, Problem } from './problem.js';
import { pictureOf } from './reference.js';
import { ask, events, fetched, pause, submit } from './service.js';

const $ = (id) => document.getElementById(id);
const MOST_BYTES = 64e6; // of one job's photos, so that the first are done while others are sent
const FORM_BYTES = 100_000;
const AT_ONCE = 2; // results that are fetched
const AGAIN_MS = 1000; // after a stream of events that ended early
const TURN_MS = 3000; // of one, where others wait
const WAITING = ['queued', 'preparing'];

export class Background {
  /**
   * @param {import('./album.js').Album} album
   * @param {import('./colouring.js').Colouring} colouring
   */
  constructor(album, colouring) {
    this.album = album;
    this.colouring = colouring;
    this.sending = Promise.resolve(); // one upload after the other
    this.followed = new Map(); // id → AbortController
    this.lanes = new Lanes(AT_ONCE);
    this.streams = new Lanes(AT_ONCE); // of events; a browser has six connections to a service
    this.timer = 0;
    $('to-background').addEventListener('click', () => this.send(this.waiting));
    $('background-stop').addEventListener('click', () => this.stop());
    const soon = () => { this.timer ||= setTimeout(() => this.show(), 100); };
    album.addEventListener('photos', () => {
      this.letGo();
      soon();
    });
    album.addEventListener('photo', soon);
    album.addEventListener('kept', soon);
  }

  /** Those that nobody has begun with; a hint is for one photo. */
  get waiting() {
    return this.album.photos.filter(
      (each) => WAITING.includes(each.state) && !each.handing && !each.job && !each.result
        && !each.options.hints.length && !each.options.scene,
    );
  }

  get there() {
    return this.album.photos.filter(isThere);
  }

  /** Whether so many photos are more than a request has room for, and the service keeps jobs. */
  async isFor(photos) {
    const limits = await this.colouring.learn(new AbortController().signal).catch(() => null);
    return Boolean(limits?.jobs_photos) && photos.length > limits.max_photos;
  }

  /** Hand photos in, in jobs of those that are alike, as large as the service takes. */
  async send(photos) {
    const limits = await this.colouring.learn(new AbortController().signal).catch(() => null);
    const format = $('format').value;
    const groups = new Map();
    for (const photo of photos) {
      photo.turn.abort();
      try {
        checkBytes(photo.file, limits);
      } catch (problem) {
        this.album.changed(photo, { state: 'failed', problem: inWords(problem) });
        continue;
      }
      this.album.changed(photo, { state: 'queued', handing: true, more: {}, problem: null });
      const said = wish(photo);
      groups.set(said, [...groups.get(said) ?? [], photo]);
    }
    for (const alike of groups.values()) {
      for (const part of parts(alike, limits)) {
        const options = structuredClone(part[0].options); // as they are now
        const signals = part.map((each) => each.leaving.signal); // Stop gives a photo another one
        this.sending = this.sending.then(() => this.submit(part, options, signals, format));
      }
    }
    this.colouring.sketch(photos);
  }

  async submit(part, options, leave, format) {
    const { album } = this;
    const photos = part.filter((_, n) => !leave[n].aborted);
    if (!photos.length) {
      return;
    }
    const leaving = new AbortController();
    const signals = photos.map((each) => each.leaving.signal);
    const left = () => photos.filter((_, n) => !signals[n].aborted);
    const all = (news) => left().forEach((each) => album.changed(each, news));
    signals.forEach((signal) => signal.addEventListener('abort', () => {
      if (signals.every(({ aborted }) => aborted)) {
        leaving.abort();
      }
    }));
    const told = (state, more = {}) => all({ state: state === 'colouring' ? 'uploading' : state, more });
    const files = photos.map(({ file, name }) => ({ file, name }));
    const chosen = wish({ options });
    try {
      const { id } = await submit(
        files, fields(options, format), { signal: leaving.signal, told },
      );
      photos.forEach((each, n) => signals[n].aborted || album.changed(each, {
        state: 'background', handing: false, more: {}, job: { id, n, wish: chosen, format },
      }));
      this.follow(id);
    } catch (error) {
      if (!leaving.signal.aborted) {
        // All were refused, each for a reason of its own: they are told one by one.
        all({ handing: false });
        left().forEach((each) => this.colouring.start(each));
      }
    }
  }

  /** Photos of jobs that this page, or another one before it, has handed in. */
  resume(photos) {
    photos.forEach((each) => this.album.changed(each, { state: 'background', more: {}, problem: null }));
    new Set(photos.map(({ job }) => job.id)).forEach((id) => this.follow(id));
  }

  /** Take what becomes of a job's photos, from the first on, until it has ended. */
  async follow(id) {
    this.followed.get(id)?.abort();
    const leaving = new AbortController();
    this.followed.set(id, leaving);
    const { signal } = leaving;
    const told = { last: '0', ended: false };
    try {
      while (!told.ended) {
        await this.streams.run(() => this.listen(id, told, signal), signal);
        if (!told.ended) {
          await pause(AGAIN_MS, signal);
        }
      }
    } catch (error) {
      if (!signal.aborted) {
        this.of(id).forEach((each) => this.fail(each, error));
      }
    }
    if (this.followed.get(id) === leaving) {
      this.followed.delete(id);
    }
    this.show();
  }

  /** Listen to a job's events until there are no more, or other jobs have waited for a turn. */
  async listen(id, told, signal) {
    const turn = new AbortController();
    signal.addEventListener('abort', () => turn.abort(), { signal: turn.signal });
    const timer = setInterval(() => this.streams.waiting.length && turn.abort(), TURN_MS);
    try {
      const headers = { 'Last-Event-ID': told.last };
      const response = await ask(`jobs/${id}/events`, { signal: turn.signal, headers });
      for await (const event of events(response)) {
        told.last = event.id || told.last;
        told.ended = event.kind === 'end';
        if (event.kind === 'photo') {
          this.of(id).filter(({ job }) => job.n === event.data.index)
            .forEach((photo) => this.take(photo, event.data));
        } else if (event.data.state === 'cancelled') {
          const problem = { title: 'Stopped', detail: 'It was not done by then.', again: true };
          this.of(id).forEach((each) => this.album.changed(each, { state: 'failed', job: null, problem }));
        }
      }
    } catch (error) {
      if (signal.aborted || !turn.signal.aborted) {
        throw error;
      }
    } finally {
      clearInterval(timer);
      turn.abort();
    }
  }

  /** Photos of a job whose colours are still to come. */
  of(id) {
    return this.album.held
      .filter((each) => each.state === 'background' && each.job?.id === id);
  }

  /** What is no longer kept is done here; what may be had yet goes on being of its job. */
  fail(photo, error) {
    const { album } = this;
    if (error.status === 404) {
      album.changed(photo, { state: 'queued', job: null, more: {} });
      if (album.photos.includes(photo)) { // else when it is taken back
        this.colouring.start(photo);
      }
      return;
    }
    const job = error.passing ? photo.job : null;
    album.changed(photo, { state: 'failed', job, problem: inWords(error) });
  }

  /** @param {object} entry of the manifest */
  async take(photo, entry) {
    const { album } = this;
    const { signal } = photo.leaving;
    if (entry.problem) {
      const problem = inWords(new Problem(entry.problem.status, entry.problem));
      album.changed(photo, { state: 'failed', job: null, problem });
      return;
    }
    album.changed(photo, { state: 'preparing' });
    try {
      await this.lanes.run(() => this.fetch(photo, entry), signal);
      album.changed(photo, { state: 'done', more: {} });
    } catch (error) {
      if (!signal.aborted) {
        this.fail(photo, error);
      }
      return;
    }
    if (photo.state === 'done' && !photo.result) { // other options were chosen meanwhile
      this.colouring.start(photo);
    }
  }

  async fetch(photo, entry) {
    const whole = await fetched(result(photo), { signal: photo.leaving.signal });
    await this.colouring.prepare(photo);
    const { blob } = await prepare(whole); // what is looked at; all of it is had by a download
    const { vividness, proposal, ...rest } = JSON.parse(photo.job.wish);
    const made = {
      key: key({ ...rest, proposal }),
      vividness,
      proposal,
      blob,
      url: URL.createObjectURL(blob),
      version: String(entry.model_version),
    };
    await this.colouring.complete(photo, made, whole);
  }

  /** Have no more done of what is in the background. */
  stop() {
    const there = this.album.held.filter(isThere); // what may be taken back is sent with the others
    const ids = new Set(there.map(({ job }) => job?.id).filter(Boolean));
    ids.forEach((id) => ask(`jobs/${id}`, { method: 'DELETE' }).catch(() => {}));
    const problem = { title: 'Stopped', detail: 'It was not sent by then.', again: true };
    there.filter((each) => each.handing).forEach((each) => {
      each.leaving.abort();
      this.album.changed(each, {
        state: 'failed', handing: false, leaving: new AbortController(), problem,
      });
    });
  }

  /** Have no more done of jobs of which all photos were removed for good. */
  letGo() {
    const held = new Set(this.album.held.map(({ job }) => job?.id));
    for (const [id, leaving] of this.followed) {
      if (!held.has(id)) {
        leaving.abort();
        ask(`jobs/${id}`, { method: 'DELETE' }).catch(() => {});
      }
    }
  }

  show() {
    this.timer = 0;
    const there = this.there.length;
    const unsent = this.there.some((each) => each.handing);
    const says = unsent ? ', still being sent.' : this.album.kept ? ': you can close this page.' : '.';
    hide($('background'), !there);
    $('background-says').textContent = `${there} in the background${says}`;
    hide($('to-background'), !(this.colouring.limits?.jobs_photos && this.waiting.length > 1));
  }
}

const isThere = ({ state, handing }) => state === 'background' || handing;

/** The path of a photo's result. */
export const result = ({ job: { id, n } }) => `jobs/${id}/results/${n}`;

/** Photos with the same options, in the order that they have, in parts that a job may have. */
function* parts(photos, limits) {
  const [{ options: { reference } }] = photos;
  const form = FORM_BYTES + (reference ? pictureOf(reference).size : 0);
  const most = Math.min(MOST_BYTES, limits.max_upload_bytes - form);
  let part = [];
  let bytes = 0;
  for (const photo of photos) {
    if (part.length && (part.length === limits.jobs_photos || bytes + photo.file.size > most)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(photo);
    bytes += photo.file.size + 1000;
  }
  if (part.length) {
    yield part;
  }
}
