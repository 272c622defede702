/**
 * Photos of one scene, whose colours agree: all that are on the page are sent together, and again when
 * a photo, a hint or an option is new. They have the same options then, but for their hints.
 */

import { say } from './announce.js';
import { disable } from './focus.js';
import { checkTogether } from './limits.js';
import { fields, key, sentHints } from './options.js';
import { inWords, Problem } from './problem.js';
import { colorizeTogether } from './service.js';

const $ = (id) => document.getElementById(id);
const MOST = 64; // that the service takes
const SETTLED_MS = 100; // what follows so soon is sent with it

/** @typedef {import('./album.js').Photo} Photo */

export class Scene {
  /**
   * @param {import('./album.js').Album} album
   * @param {import('./colouring.js').Colouring} colouring which leaves the photos of a scene to this
   */
  constructor(album, colouring) {
    this.album = album;
    this.colouring = colouring;
    colouring.scene = this;
    this.ids = new Map(); // photos and hints, in a text → what their options call the scene
    this.leaving = new AbortController();
    this.timer = 0;
    this.wanted = ''; // what is under way, in a text
    this.whole = null; // answers for the files themselves, while they are on their way
    $('scene').addEventListener('change', () => ($('scene').checked ? this.begin() : this.end()));
    album.addEventListener('photos', () => this.gathered());
    for (const event of ['selected', 'photo']) {
      album.addEventListener(event, () => this.refresh());
    }
  }

  get most() {
    return Math.min(MOST, this.colouring.limits?.max_photos ?? MOST);
  }

  /** Photos that are to agree: all that can be read. */
  get members() {
    return this.album.photos.filter(({ state, options }) => options.scene && state !== 'failed');
  }

  begin() {
    this.changed(this.album.selected, this.album.photos);
    say('Colours of all photos will agree.');
  }

  end() {
    this.stop();
    const before = this.album.photos.filter(({ options }) => options.scene);
    before.forEach(({ options }) => { options.scene = null; });
    this.refresh();
    for (const photo of before.filter(({ state }) => state !== 'failed')) {
      if (photo === this.album.selected && photo.state === 'done') {
        this.colouring.recolour(photo);
      } else {
        this.album.changed(photo, { working: false });
        this.colouring.start(photo);
      }
    }
  }

  /** Photos came or went. */
  gathered() {
    const { photos } = this.album;
    const one = photos.find(({ options }) => options.scene);
    if (one && (photos.length > this.most || photos.length === 1)) {
      this.end();
      say(photos.length === 1 ? '' : this.says);
    } else if (one) {
      this.changed(one, photos);
    } else {
      this.stop(); // of photos that were removed
    }
    this.refresh();
  }

  /** A photo's options are new, or it has no colours yet: all are to have them, and are sent. */
  changed(photo, photos = this.members) {
    const { vividness, postprocess, reference, scene } = photo.options;
    for (const each of photos) {
      Object.assign(each.options, { vividness, postprocess, reference, proposal: 1 });
    }
    const there = photos.filter(({ state }) => state !== 'failed');
    const told = JSON.stringify(there.map(({ file, options: { hints } }) => (
      [file.name, file.size, file.lastModified, hints])));
    if (!this.ids.has(told)) {
      // Kept over a reload, a scene goes on to be called what it was.
      const kept = !this.ids.size && photos.every(({ options }) => options.scene === scene);
      this.ids.set(told, (kept && scene) || `${Date.now()}-${Math.random()}`);
    }
    photos.forEach(({ options }) => { options.scene = this.ids.get(told); });
    const wanted = JSON.stringify([told, vividness, postprocess, reference?.id]);
    if (wanted === this.wanted) {
      return; // it is under way
    }
    this.stop();
    this.wanted = wanted;
    there.forEach((each) => each.turn.abort());
    this.mark(photo);
    this.timer = setTimeout(() => this.exact(), SETTLED_MS);
  }

  stop() {
    this.leaving.abort();
    clearTimeout(this.timer);
    this.wanted = '';
  }

  mark(photo) {
    this.album.changed(photo, photo.state === 'done'
      ? { working: !photo.result, more: {}, problem: null }
      : { state: 'queued', more: {}, problem: null });
  }

  async exact() {
    const { album, colouring, members } = this;
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    members.forEach((photo) => this.mark(photo));
    try {
      await colouring.lanes.run(async () => {
        for (const photo of members) { // each is all of its pixels for a while
          await this.prepared(photo, signal);
          signal.throwIfAborted();
        }
        const there = members.filter(({ state }) => state !== 'failed');
        if (there.some(({ result }) => !result)) {
          await this.ask(there, signal);
        }
        for (const photo of there.filter(({ result }) => result)) {
          await colouring.complete(photo, photo.result);
          signal.throwIfAborted();
          album.changed(photo, { state: 'done', working: false, more: {}, problem: null });
        }
      }, signal);
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      const problem = inWords(error);
      members.filter(({ result, state }) => !result && state !== 'failed')
        .forEach((photo) => this.fail(photo, problem));
    }
    this.wanted = '';
  }

  async prepared(photo, signal) {
    try {
      await this.colouring.prepare(photo);
    } catch (error) {
      if (!signal.aborted && !photo.leaving.signal.aborted) {
        this.fail(photo, inWords(error));
      }
    }
  }

  fail(photo, problem) {
    this.wanted = ''; // it may be tried again before the others are done
    this.album.changed(photo, photo.state === 'done' && photo.results.length
      ? { working: false, more: {}, problem }
      : { state: 'failed', more: {}, problem });
  }

  async ask(photos, signal) {
    const told = (state, more = {}) => photos.forEach((photo) => this.album.changed(photo, (
      photo.state === 'done' ? { more: { ...more, recolouring: state } } : { state, more })));
    const format = photos.every(({ sent }) => sent.format === 'jpeg') ? 'jpeg' : 'png';
    const sent = photos.map((photo) => ({ photo, blob: photo.sent.blob, scale: photo.sent.scale }));
    const answers = await this.send(sent, format, signal, told);
    answers.forEach(({ blob, version, problem }, n) => {
      const photo = photos[n];
      if (problem) {
        this.wanted = '';
        this.album.changed(photo, { state: 'failed', more: {}, problem: inWords(problem) });
        return;
      }
      const { vividness, proposal } = photo.options;
      photo.keep({
        key: key(photo.options), vividness, proposal, blob, url: URL.createObjectURL(blob), version,
      });
    });
  }

  /** The service's answers for photos of the scene, each sent as a blob, which is so much smaller. */
  async send(sent, format, signal, told) {
    checkTogether(sent.map(({ blob }) => blob), this.colouring.limits);
    const { options } = sent[0].photo;
    const damaged = sent.some(({ photo }) => photo.options.damaged === 'accept') ? 'accept' : 'refuse';
    const hints = sent.flatMap(({ photo, scale }, n) => (
      sentHints(photo.options.hints, scale).map((hint) => ({ ...hint, photo: n }))));
    const chosen = {
      ...fields({ ...options, damaged, hints: [] }, format),
      album: 'true',
      ...(hints.length ? { hints: JSON.stringify(hints) } : {}),
    };
    const files = sent.map(({ photo, blob }) => ({ file: blob, name: photo.name }));
    const answers = await colorizeTogether(files, chosen, { signal, told });
    signal.throwIfAborted();
    return answers;
  }

  /** One photo in all of its pixels; the others are sent as small as they are looked at. */
  async detail(photo, signal) {
    const photos = [photo, ...this.members.filter((each) => each !== photo && each.sent)];
    const sent = photos.map((each) => (each === photo
      ? { photo, blob: photo.file, scale: 1 }
      : { photo: each, blob: each.sent.blob, scale: each.sent.scale }));
    const [{ blob, problem }] = await this.send(sent, photo.sent.format, signal);
    if (problem) {
      throw problem;
    }
    return blob;
  }

  /** The API's answer for a photo's file; those of one scene are had by one request. */
  async file(photo, format, signal, told) {
    const { members } = this;
    const sent = members.map((each) => ({ photo: each, blob: each.file, scale: 1 }));
    this.whole ??= this.colouring.lanes.run(() => this.send(sent, format, signal, told), signal)
      .finally(() => { this.whole = null; });
    const { blob, problem } = (await this.whole)[members.indexOf(photo)]
      ?? { problem: new Problem(409, { title: 'Changed meanwhile', detail: 'Download it again.' }) };
    if (problem) {
      throw problem;
    }
    return { blob };
  }

  get says() {
    const { photos } = this.album;
    if (photos.length > this.most) {
      return `Up to ${this.most} photos can agree; here are ${photos.length}. Remove some, and it can`
        + ' be chosen.';
    }
    if (photos.some(({ state, handing }) => state === 'background' || handing)) {
      return 'It can be chosen when no photo is in the background any more.';
    }
    return 'What is in several photos gets the same colours in all of them, and your hints on one count'
      + ' in the others.';
  }

  refresh() {
    const { photos } = this.album;
    const on = photos.some(({ options }) => options.scene);
    const { says } = this;
    $('scene-field').hidden = photos.length < 2;
    $('scene').checked = on;
    disable($('scene'), !on && !says.startsWith('What'), $('stage'));
    if ($('scene-says').textContent !== says) {
      $('scene-says').textContent = says;
    }
    $('hints-carry').hidden = !on;
  }
}
