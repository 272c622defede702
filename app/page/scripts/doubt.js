/** What of the photo's colours is guessed: shade over it, and places to ask somebody about. */

import { wish } from './album.js';
import { say } from './announce.js';
import { loaded } from './colouring.js';
import { disable } from './focus.js';
import { fields } from './options.js';
import { inWords } from './problem.js';
import { colorize } from './service.js';

const $ = (id) => document.getElementById(id);

export class Doubt {
  /**
   * @param {import('./viewer.js').Viewer} viewer
   * @param {import('./hints.js').Hints} hints
   */
  constructor(viewer, hints) {
    this.viewer = viewer;
    this.hints = hints;
    this.on = false;
    this.told = null; // of which options of which photo: {photo, wish, url, places}
    this.leaving = new AbortController();
    $('doubt').addEventListener('click', () => this.toggle());
    viewer.addEventListener('placed', () => this.draw());
    viewer.album.addEventListener('selected', () => this.refresh());
    viewer.album.addEventListener('photo', ({ detail }) => detail === viewer.photo && this.refresh());
  }

  toggle() {
    this.on = !this.on;
    $('doubt').setAttribute('aria-pressed', String(this.on));
    this.refresh();
  }

  /** Show what is known of the present colours, and ask for what is not. */
  refresh() {
    const { photo } = this.viewer;
    disable($('doubt'), photo?.state !== 'done', $('stage'));
    const ready = this.on && photo?.state === 'done' && photo.result && !photo.working;
    const wanted = ready && wish(photo);
    if (this.told && !(ready && this.told.photo === photo && this.told.wish === wanted)) {
      this.leaving.abort();
      URL.revokeObjectURL(this.told.url);
      if (this.told.photo !== photo) {
        $('doubt-says').textContent = '';
      }
      this.told = null;
    }
    if (ready && !this.told) {
      this.told = { photo, wish: wanted, url: '', places: [] };
      this.ask(this.told);
    }
    this.draw();
  }

  async ask(told) {
    this.leaving = new AbortController();
    const { photo } = told;
    const signal = AbortSignal.any([this.leaving.signal, photo.leaving.signal]);
    const { blob: file, scale } = photo.sent;
    const sent = { ...fields(structuredClone(photo.options), 'png', scale), confidence: 'png' };
    try {
      const { blob, confidence, places } = await colorize(file, photo.name, sent, { signal });
      told.url = URL.createObjectURL(blob);
      await loaded(told.url);
      signal.throwIfAborted();
      told.places = places.map((at) => at.map((each) => each / scale));
      $('doubt-says').textContent = `${Math.round(100 * confidence)}% sure; what is dark is guessed.`
        + (places.length ? ' Tell the colour at a number: it helps most there.' : '');
      say($('doubt-says').textContent);
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      $('doubt-says').textContent = inWords(error).detail;
    }
    this.draw();
  }

  /** The shade and the numbers, where the view says. */
  draw() {
    const { told, viewer: { view, shown } } = this;
    const seen = this.on && told && told.photo === shown ? told : null;
    $('doubt-says').hidden = !this.on;
    const shade = $('shade');
    shade.hidden = !seen?.url;
    if (seen?.url && shade.src !== seen.url) {
      shade.src = seen.url;
    }
    const places = seen?.places ?? [];
    const asks = $('asks');
    while (asks.children.length > places.length) {
      asks.lastChild.remove();
    }
    places.forEach((place, i) => {
      const ask = asks.children[i] ?? asks.appendChild(this.button(i));
      const [x, y] = view.toStage(...place);
      ask.style.transform = `translate(${x}px, ${y}px)`;
    });
  }

  button(i) {
    const button = Object.assign(document.createElement('button'), {
      type: 'button', className: 'ask', textContent: String(i + 1),
    });
    button.setAttribute('aria-label', `Tell the colour at place ${i + 1}`);
    button.addEventListener('click', () => this.hints.askAt(...this.told.places[i]));
    button.addEventListener('keydown', (event) => event.stopPropagation()); // the stage's keys
    return button;
  }
}
