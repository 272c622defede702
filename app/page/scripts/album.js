/** The photos on the page: what is known of each, and which one is looked at. */

import { defaults, key } from './options.js';

const MOST_RESULTS = 24; // kept a photo

/**
 * An answer of the service that can be shown.
 *
 * @typedef {object} Result
 * @property {string} key of its options but vividness
 * @property {number} vividness
 * @property {number} proposal
 * @property {Blob} blob
 * @property {string} url
 * @property {string} version
 */

/**
 * A photo of a job of the service.
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {number} n which of its photos
 * @property {string} wish all that was chosen for the photo then
 * @property {string} format of the result
 */

export class Photo {
  /** @param {File} file */
  constructor(file, options) {
    this.file = file;
    this.name = file.name || 'photo';
    this.state = 'queued'; // preparing, uploading, colouring, waiting, done, failed
    this.more = {}; // of the state: share, seconds, why
    this.problem = null; // in words: {title, detail}
    this.working = false; // on other options of a photo that is done
    this.options = structuredClone(options);
    this.sent = null; // see preview.js
    this.before = null; // address of the photo as it was
    this.original = null; // address of the file itself, where `before` is smaller
    this.detail = null; // the latest answer with all of the photo's pixels: {url, of: a Result}
    this.thumbnail = null;
    this.width = 0; // of the photo, upright; 0 while unknown
    this.height = 0;
    /** @type {Job|null} where it is, or was, done in the background */
    this.job = null;
    this.handing = false; // whether it is being sent for that
    this.saved = ''; // the options that it was downloaded with, in a text
    this.leaving = new AbortController();
    this.turn = new AbortController(); // of its first colours, which may be had otherwise
    /** @type {Result[]} the latest last */
    this.results = [];
  }

  /** Another copy of the file takes its place. */
  replace(file) {
    if (this.sent?.blob === this.file) {
      this.sent.blob = file;
      if (this.before) {
        URL.revokeObjectURL(this.before);
        this.before = URL.createObjectURL(file);
      }
    }
    this.file = file;
  }

  /** The answer for the present options, if it is known. */
  get result() {
    const wanted = key(this.options);
    return this.results.findLast(
      (r) => r.key === wanted && r.vividness === this.options.vividness,
    );
  }

  /**
   * What comes closest to the present options: one answer, or two to be mixed.
   *
   * @returns {[Result, number][]} each with the share that it has, from the bottom to the top
   */
  get closest() {
    if (this.result) {
      return [[this.result, 1]];
    }
    const { vividness } = this.options;
    const wanted = key(this.options);
    const alike = this.results.filter((r) => r.key === wanted);
    const below = alike.filter((r) => r.vividness < vividness)
      .sort((a, b) => b.vividness - a.vividness)[0];
    const above = alike.filter((r) => r.vividness > vividness)
      .sort((a, b) => a.vividness - b.vividness)[0];
    if (below && above) {
      const share = (vividness - below.vividness) / (above.vividness - below.vividness);
      return [[below, 1], [above, share]];
    }
    // Of other options, the latest that is as vivid: those of the slider's ends were not looked at.
    const one = below ?? above
      ?? this.results.findLast((r) => r.vividness === vividness) ?? this.results.at(-1);
    return one ? [[one, 1]] : [];
  }

  keep(result) {
    this.results.push(result);
    while (this.results.length > MOST_RESULTS) {
      const shown = this.closest.map(([each]) => each);
      const oldest = this.results.findIndex((each) => !shown.includes(each));
      URL.revokeObjectURL(this.results.splice(oldest, 1)[0].url);
    }
  }

  /** Let go of answers by other versions of the model, whose downloads would look different. */
  keepOnly(version) {
    if (version) {
      const others = this.results.filter((r) => r.version !== version);
      others.forEach((r) => URL.revokeObjectURL(r.url));
      this.results = this.results.filter((r) => !others.includes(r));
      if (others.length) {
        this.job = null; // was done by that version, too
      }
    }
  }

  forget() {
    this.leaving.abort();
    const urls = [this.before, this.original, this.detail?.url, this.thumbnail, ...this.results.map((r) => r.url)];
    urls.filter(Boolean).forEach((url) => URL.revokeObjectURL(url));
  }
}

/** All that is chosen for a photo, in a text. */
export const wish = ({ options }) => JSON.stringify(options);

/** Events: 'photos' (the list), 'selected' (which is looked at), 'photo' (detail: a photo). */
export class Album extends EventTarget {
  constructor() {
    super();
    /** @type {Photo[]} */
    this.photos = [];
    /** @type {Photo|null} */
    this.selected = null;
    this.options = defaults; // of photos that come
    this.kept = false; // whether photos come back after a reload
    this.removed = null; // the latest: {photos, before: all that there were}
  }

  /** Those on the page, and those that may be taken back. */
  get held() {
    return [...this.photos, ...this.removed?.photos ?? []];
  }

  /** @param {File[]} files */
  add(files) {
    const photos = files.map((file) => new Photo(file, this.options));
    this.enter(photos);
    return photos;
  }

  /** @param {Photo[]} photos at least one */
  enter(photos, selected = photos[0]) {
    this.photos.push(...photos);
    this.dispatchEvent(new Event('photos'));
    this.select(selected);
  }

  /** Take photos off the page; they are held until others are, and can be restored. */
  remove(photos) {
    this.forget();
    const index = this.photos.indexOf(photos[0]);
    this.removed = { before: this.photos, photos };
    this.photos = this.photos.filter((each) => !photos.includes(each));
    this.dispatchEvent(new Event('photos'));
    if (photos.includes(this.selected)) {
      this.select(this.photos[Math.min(index, this.photos.length - 1)] ?? null);
    }
  }

  restore() {
    const { before, photos } = this.removed;
    this.removed = null;
    this.photos = [...before, ...this.photos.filter((each) => !before.includes(each))];
    this.dispatchEvent(new Event('photos'));
    this.select(photos[0]);
  }

  /** Let go of what was removed last. */
  forget() {
    this.removed?.photos.forEach((photo) => photo.forget());
    this.removed = null;
  }

  /** Whether a photo has colours that were not downloaded, nor are kept by the service for us. */
  get unsaved() {
    return this.photos.some((each) => {
      const { state, saved, job } = each;
      const here = state === 'done' && !(this.kept && job?.wish === wish(each));
      return (here && saved !== wish(each)) || (state === 'background' && !this.kept);
    });
  }

  select(photo) {
    this.selected = photo;
    this.dispatchEvent(new Event('selected'));
  }

  /** Tell that something about a photo is new. */
  changed(photo, news = {}) {
    Object.assign(photo, news);
    this.dispatchEvent(new CustomEvent('photo', { detail: photo }));
  }
}
