/** Getting colours: of every photo once, and anew of the one whose options change. */

import { Lanes } from './lanes.js';
import { checkBytes, checkPixels } from './limits.js';
import { fields, key } from './options.js';
import { kindOf, prepare, recovered, thumbnail } from './preview.js';
import { inWords } from './problem.js';
import { colorize, read } from './service.js';

const AT_ONCE = 2; // photos, beside the one whose options are being changed
const SETTLED_MS = 60; // a slider that rests for so long is asked about

export class Colouring {
  /** @param {import('./album.js').Album} album */
  constructor(album) {
    this.album = album;
    /** @type {import('./limits.js').Limits|null} null while they are not known */
    this.limits = null;
    this.lanes = new Lanes(AT_ONCE);
    /** @type {import('./scene.js').Scene} sees to photos that are to agree, once it is there */
    this.scene = null;
    this.latest = new AbortController(); // of the only request for other options
    this.ends = { photo: null, key: '', leaving: new AbortController() };
    this.detailing = new AbortController();
    this.detailOf = null;
    this.timer = 0;
  }

  /** Small pictures of photos that wait, one after the other, where the browser reads them. */
  async sketch(photos) {
    for (const photo of photos) {
      if (!['done', 'failed'].includes(photo.state) && !photo.thumbnail) {
        const small = await sketched(photo.file).catch(() => null); // nor if the file is gone
        if (small && !photo.thumbnail && !photo.leaving.signal.aborted) {
          this.album.changed(photo, { thumbnail: URL.createObjectURL(small) });
        }
      }
    }
  }

  /** The first colours of a photo, when it is its turn. */
  async start(photo) {
    const { album } = this;
    if (photo.options.scene) {
      album.changed(photo, { state: 'queued', more: {}, problem: null });
      this.scene.changed(photo);
      return;
    }
    photo.turn = new AbortController();
    const signal = AbortSignal.any([photo.leaving.signal, photo.turn.signal]);
    album.changed(photo, { state: 'queued', more: {}, problem: null });
    try {
      await this.lanes.run(async () => {
        album.changed(photo, { state: 'preparing' });
        await this.prepare(photo);
        const told = (state, more = {}) => album.changed(photo, { state, more });
        const result = photo.result // kept over a reload
          ?? await this.ask(photo, structuredClone(photo.options), signal, told);
        await this.complete(photo, result);
      }, signal);
    } catch (error) {
      if (!signal.aborted) {
        album.changed(photo, { state: 'failed', problem: inWords(error) });
      }
      return;
    }
    album.changed(photo, { state: 'done', more: {} });
    if (!photo.result) { // other options were chosen meanwhile
      await (photo === album.selected ? this.recolour(photo) : this.start(photo));
    }
  }

  /**
   * The present options of a photo are new: show what is closest, ask for the rest. Only the
   * latest wish is asked for; what is under way for an older one is broken off.
   */
  recolour(photo) {
    this.latest.abort();
    this.detailing.abort();
    this.detailOf = null;
    if (photo.options.scene) {
      this.scene.changed(photo);
      return;
    }
    if (this.ends.key !== key(photo.options)) {
      this.ends.leaving.abort();
    }
    clearTimeout(this.timer);
    if (photo.state !== 'done') {
      return; // `start` looks at the options again
    }
    const known = Boolean(photo.result);
    this.album.changed(photo, { working: !known, more: {}, problem: null });
    if (!known) {
      this.timer = setTimeout(() => this.exact(photo), SETTLED_MS);
    }
  }

  async exact(photo) {
    const { album } = this;
    this.latest = new AbortController();
    const signal = AbortSignal.any([this.latest.signal, photo.leaving.signal]);
    const told = (state, more = {}) => album.changed(photo, { more: { ...more, recolouring: state } });
    try {
      await this.complete(
        photo,
        await this.ask(photo, structuredClone(photo.options), signal, told),
      );
      signal.throwIfAborted();
      album.changed(photo, { working: false, more: {} });
    } catch (error) {
      if (!signal.aborted) {
        album.changed(photo, { working: false, more: {}, problem: inWords(error) });
      }
    }
  }

  /** The safest and the liveliest colours, between which a moving slider is answered at once. */
  async prefetch(photo) {
    const wanted = key(photo.options);
    const { ends } = this;
    if (photo.state !== 'done' || photo.options.scene // all photos would be coloured twice more
      || (ends.photo === photo && ends.key === wanted && !ends.leaving.signal.aborted)) {
      return;
    }
    ends.leaving.abort();
    const leaving = new AbortController();
    this.ends = { photo, key: wanted, leaving };
    const signal = AbortSignal.any([leaving.signal, photo.leaving.signal]);
    for (const vividness of [0, 1]) {
      const options = { ...structuredClone(photo.options), vividness };
      if (photo.results.some((r) => r.key === wanted && r.vividness === vividness)) {
        continue;
      }
      try {
        photo.keep(await this.ask(photo, options, signal));
      } catch {
        return; // the exact answer tells what is wrong
      }
    }
    this.album.changed(photo);
  }

  /** All of the photo's pixels in colour: what is shown is made of a smaller picture. */
  async detail(photo) {
    const of = photo.result;
    if (!of || photo.sent.scale === 1 || photo.detail?.of === of || this.detailOf === of) {
      return;
    }
    this.detailing.abort();
    this.detailing = new AbortController();
    this.detailOf = of;
    const signal = AbortSignal.any([this.detailing.signal, photo.leaving.signal]);
    try {
      const sent = fields(photo.options, photo.sent.format);
      const blob = photo.options.scene
        ? await this.scene.detail(photo, signal)
        : (await colorize(photo.file, photo.name, sent, { signal })).blob;
      URL.revokeObjectURL(photo.detail?.url ?? '');
      if (photo.sent.seen) {
        photo.original ??= URL.createObjectURL(photo.file);
      }
      this.album.changed(photo, { detail: { url: URL.createObjectURL(blob), of } });
    } catch {
      // What is shown stays; a download tells what is wrong.
    }
  }

  async prepare(photo) {
    if (photo.sent) {
      return;
    }
    const { signal } = photo.leaving;
    await this.learn(signal);
    if (this.limits) {
      checkBytes(photo.file, this.limits);
    }
    const { file } = photo;
    const sent = await prepare(file);
    signal.throwIfAborted();
    if (this.limits && sent.seen) {
      checkPixels(sent, this.limits);
    }
    const small = sent.seen && await thumbnail(sent.blob);
    signal.throwIfAborted();
    if (sent.blob === file) {
      sent.blob = photo.file; // which may be kept by now
    }
    if (sent.seen) {
      photo.before = URL.createObjectURL(sent.blob);
      URL.revokeObjectURL(photo.thumbnail ?? '');
      photo.thumbnail = URL.createObjectURL(small);
    }
    const { width = 0, height = 0 } = sent;
    this.album.changed(photo, { sent, width, height });
  }

  async learn(signal) {
    this.limits ??= (await read('models', signal))?.limits ?? null;
    return this.limits;
  }

  /**
   * What only an answer shows: its small picture, and the photo that the browser cannot read.
   *
   * @param {import('./album.js').Result} result
   * @param {Blob} [whole] the answer, where the result has a smaller picture of it
   */
  async complete(photo, result, whole = result.blob) {
    if (!photo.results.includes(result)) {
      photo.keep(result);
    }
    const small = await thumbnail(result.blob);
    const sent = photo.before ? photo.sent : await recovered(whole);
    photo.leaving.signal.throwIfAborted();
    URL.revokeObjectURL(photo.thumbnail ?? '');
    photo.thumbnail = URL.createObjectURL(small);
    photo.before ??= URL.createObjectURL(sent.blob);
    const { width, height } = sent;
    Object.assign(photo, { sent, width, height });
  }

  /** @returns {Promise<import('./album.js').Result>} */
  async ask(photo, options, signal, told) {
    const { blob: file, format, scale } = photo.sent;
    const { blob, version } = await colorize(
      file, photo.name, fields(options, format, scale), { signal, told },
    );
    const url = URL.createObjectURL(blob);
    const { vividness, proposal } = options;
    return { key: key(options), vividness, proposal, blob, url, version };
  }
}

async function sketched(file) {
  return await kindOf(file) ? thumbnail(file) : null;
}

/** An image that can be shown without a flash of nothing. */
export async function loaded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}
