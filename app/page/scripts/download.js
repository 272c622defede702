/**
 * Downloads: always the original files with the chosen options, as the API gives them.
 *
 * The ZIP is written here and not by the service: each photo has options of its own, hints are for
 * one photo a request, more photos than one request may hold fit in, and one that fails can be told
 * while the others go on.
 */

import { wish } from './album.js';
import { say } from './announce.js';
import { result } from './background.js';
import { hide } from './focus.js';
import { Lanes } from './lanes.js';
import { EXTENSIONS, fields, stem } from './options.js';
import { inWords } from './problem.js';
import { colorize, fetched } from './service.js';
import { words } from './states.js';
import { downloadZip } from '../vendor/client-zip/client-zip.js';

const $ = (id) => document.getElementById(id);

export class Download {
  /** @param {import('./album.js').Album} album @param {import('./colouring.js').Colouring} colouring */
  constructor(album, { lanes, scene }) {
    this.album = album;
    this.lanes = lanes;
    this.scene = scene;
    this.leaving = new AbortController();
    $('download').addEventListener('click', () => this.one(album.selected));
    $('download-all').addEventListener('click', () => this.all([...album.photos]));
    album.addEventListener('selected', () => {
      if ($('saving').classList.contains('bad')) {
        $('saving').hidden = true; // it was about another photo
      }
    });
    $('saving-stop').addEventListener('click', () => this.leaving.abort());
  }

  get format() {
    return $('format').value;
  }

  one(photo) {
    return this.busy($('download'), async (signal) => {
      const told = (state, more = {}) => this.tell(`${words({ state, more })}…`);
      const asked = wish(photo);
      const { format } = this;
      const { blob } = await this.ask(photo, signal, told, new Lanes(1));
      save(blob, stem(photo.name) + EXTENSIONS[format]);
      this.album.changed(photo, { saved: asked });
      return 'Saved.';
    });
  }

  all(photos) {
    return this.busy($('download-all'), async (signal) => {
      let ended = 0;
      const why = new Map(); // of photos that fail, in words
      const wishes = new Map();
      const tell = (waits = '') => this.tell(waits || `${ended} of ${photos.length} ready…`);
      tell();
      const { format } = this;
      const answers = await Promise.all(photos.map(async (photo) => {
        const told = (state, more) => tell(state === 'waiting' ? words({ state, more }) : '');
        const asked = wish(photo);
        try {
          if (photo.state === 'failed' && !photo.problem.again) {
            why.set(photo, photo.problem.title); // it would be once more
            return null;
          }
          const { blob } = await this.ask(photo, signal, told);
          wishes.set(photo, asked);
          return blob;
        } catch (error) {
          signal.throwIfAborted();
          why.set(photo, inWords(error).title);
          return null;
        } finally {
          ended += 1;
          tell();
        }
      }));
      const named = names(photos, EXTENSIONS[format]);
      const files = named.map((name, i) => ({ name, input: answers[i] })).filter((f) => f.input);
      if (files.length) {
        save(await downloadZip(files).blob(), 'colorized.zip');
        wishes.forEach((saved, photo) => this.album.changed(photo, { saved }));
      }
      const count = files.length === 1 ? '1 photo' : `${files.length} photos`;
      const failed = photos.filter((photo) => why.has(photo))
        .map((photo) => `${photo.name}: ${why.get(photo)}`);
      return `${files.length ? `Saved ${count}.` : 'Nothing to save.'} ${failed.join('; ')}`.trim();
    });
  }

  /** The API's answer for the file itself; the last argument is whom it waits for. */
  ask(photo, signal, told, lanes = this.lanes) {
    if (this.scene.members.includes(photo)) {
      return this.scene.file(photo, this.format, signal, told);
    }
    const sent = fields(photo.options, this.format);
    if (photo.job?.wish === wish(photo) && photo.job.format === this.format) {
      return lanes.run(async () => {
        try { // as it was done in the background
          return { blob: await fetched(result(photo), { signal }) };
        } catch (error) {
          if (error.status !== 404) {
            throw error;
          }
        }
        return colorize(photo.file, photo.name, sent, { signal, told }); // no longer kept
      }, signal);
    }
    return lanes.run(
      () => colorize(photo.file, photo.name, sent, { signal, told }),
      signal,
    );
  }

  /** Do what a button has begun. */
  async busy(button, work) {
    const buttons = [$('download'), $('download-all'), $('format')];
    // Not `disabled`: the button keeps the focus.
    if (buttons[0].getAttribute('aria-disabled') === 'true') {
      return;
    }
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    buttons.forEach((each) => each.setAttribute('aria-disabled', 'true'));
    $('saving').classList.remove('bad');
    $('saving-stop').hidden = false;
    this.tell('Sending…');
    let said;
    try {
      said = await work(signal);
    } catch (error) {
      const { title, detail } = inWords(error);
      said = signal.aborted ? 'Stopped.' : `${title}. ${detail}`;
      $('saving').classList.toggle('bad', !signal.aborted);
    } finally {
      buttons.forEach((each) => each.removeAttribute('aria-disabled'));
      hide($('saving-stop'), true, button.hidden ? undefined : button);
    }
    this.tell(said);
    say(said);
  }

  tell(text) {
    $('saving').hidden = false;
    $('saving-text').textContent = text;
  }
}

/** Names of results, told apart by -2, -3… whatever the case of letters, as the API does. */
export function names(photos, extension) {
  const taken = new Set();
  return photos.map(({ name }) => {
    const base = stem(name).replace(/[<>:"|?*;%/\\\p{Cc}]/gu, '_');
    let candidate = base + extension;
    for (let count = 2; taken.has(candidate.toLowerCase()); count += 1) {
      candidate = `${base}-${count}${extension}`;
    }
    taken.add(candidate.toLowerCase());
    return candidate;
  });
}

function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser takes the file up soon after; it has no event for that.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
