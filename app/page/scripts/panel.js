/** The options of the photo that is looked at. */

import { say } from './announce.js';
import { hide, passFocus } from './focus.js';
import { key } from './key.js';
import { command, defaults, key as optionsKey } from './options.js';
import { address, read } from './service.js';

const $ = (id) => document.getElementById(id);
const STEP = 0.05;
/** Vividness in words, each up to a bound. */
const WORDS = [[0.2, 'calm'], [0.45, 'gentle'], [0.75, 'natural'], [0.9, 'lively'], [1, 'vivid']];
const LOOKS = [['Calm', () => 0], ['Default', () => defaults.vividness], ['Lively', () => 1]];
const SAYS = {
  guided: 'Colours are drawn to the edges of things.',
  tv: 'Flatter colours, then drawn to edges.',
  crf: 'Like greys get like colours, then drawn to edges.',
  none: 'Colours as the network gave them, soft over edges.',
};

export class Panel {
  /**
   * @param {import('./album.js').Album} album
   * @param {import('./colouring.js').Colouring} colouring
   */
  constructor(album, colouring) {
    this.album = album;
    this.colouring = colouring;
    this.version = ''; // of the model, while it is known
    const vividness = $('vividness');
    $('panel').addEventListener('submit', (event) => event.preventDefault());
    vividness.addEventListener('input', () => this.choose({ vividness: Number(vividness.value) }));
    for (const event of ['focus', 'pointerenter', 'pointerdown']) {
      vividness.addEventListener(event, () => album.selected && colouring.prefetch(album.selected));
    }
    for (const input of document.querySelectorAll('[name=postprocess]')) {
      input.addEventListener('change', () => this.choose({ postprocess: input.value }));
    }
    $('vividness-reset').addEventListener('click', () => {
      this.choose({ vividness: defaults.vividness });
      vividness.focus();
    });
    this.looks = LOOKS.map(([name, value]) => this.look(name, value));
    $('looks').replaceChildren(...this.looks.map(({ button }) => button));
    $('advanced').addEventListener('toggle', () => $('advanced').scrollIntoView({ block: 'nearest' }));
    $('copy').addEventListener('click', () => copy($('command')));
    $('format').addEventListener('change', () => this.refresh());
    $('same').addEventListener('click', () => this.same());
    for (const event of ['photos', 'selected', 'photo']) {
      album.addEventListener(event, () => this.refresh());
    }
  }

  /** The model's own defaults, for photos that come, and what the service takes. */
  async learn() {
    const told = await read('models');
    this.colouring.limits = told?.limits ?? this.colouring.limits;
    const model = told?.models.find((each) => each.default) ?? told?.models.at(-1);
    if (model) {
      this.version = String(model.version);
      defaults.vividness = Math.round((model.default_vividness ?? 0.65) / STEP) * STEP;
      defaults.vividness = Number(defaults.vividness.toFixed(2));
      defaults.postprocess = model.default_postprocess ?? defaults.postprocess;
    }
  }

  /** One of three looks side by side, a click on which chooses it. */
  look(name, value) {
    const button = Object.assign(document.createElement('button'), { type: 'button' });
    const image = Object.assign(document.createElement('img'), { alt: '', hidden: true });
    const label = Object.assign(document.createElement('span'), { textContent: name });
    button.append(image, label);
    button.addEventListener('click', () => this.choose({ vividness: value() }));
    return { button, image, value };
  }

  /** What the looks are like, as far as it is known, and which one is chosen. */
  show(photo) {
    const wanted = optionsKey(photo.options);
    for (const { button, image, value } of this.looks) {
      const vividness = value();
      const alike = photo.results.filter((r) => r.vividness === vividness);
      const known = alike.find((r) => r.key === wanted);
      picture(image, known?.url ?? alike.at(-1)?.url ?? photo.thumbnail, !known);
      button.setAttribute('aria-pressed', String(photo.options.vividness === vividness));
    }
    const idle = this.colouring.lanes.free > 0; // other photos' first colours come first
    if (idle && photo.state === 'done' && photo.result && !photo.working) {
      this.colouring.prefetch(photo);
    }
  }

  choose(some) {
    const photo = this.album.selected;
    if (photo) {
      Object.assign(photo.options, some);
      this.refresh();
      this.colouring.recolour(photo);
    }
  }

  /** All photos, and those to come, get this one's options; hints and the colouring are its own. */
  same() {
    const { selected, photos } = this.album;
    const { vividness, postprocess, reference } = selected.options;
    const common = { vividness, postprocess, reference };
    this.album.options = { ...defaults, ...common };
    for (const photo of photos) {
      Object.assign(photo.options, common);
      if (photo !== selected && photo.state === 'done' && !photo.result) {
        this.colouring.start(photo);
      }
    }
    say('All photos have these options.');
  }

  refresh() {
    const photo = this.album.selected;
    if (!photo) {
      return;
    }
    const { options } = photo;
    $('vividness').value = String(options.vividness);
    const [, word] = WORDS.find(([most]) => options.vividness <= most);
    const percent = `${Math.round(100 * options.vividness)}%`;
    $('vividness-value').textContent = `${word}, ${percent}`;
    $('vividness').setAttribute('aria-valuetext', `${word}, ${percent}`);
    $('vividness-reset').hidden = options.vividness === defaults.vividness;
    this.show(photo);
    const failed = photo.state === 'failed';
    for (const id of ['format', 'download']) {
      hide($(id), failed);
    }
    for (const field of $('panel').children) {
      const inert = failed && !field.classList.contains('save');
      if (inert) {
        passFocus(field);
      }
      field.inert = inert;
    }
    document.querySelector(`[name=postprocess][value=${options.postprocess}]`).checked = true;
    $('postprocess-says').textContent = SAYS[options.postprocess];
    const many = this.album.photos.length > 1;
    $('all-row').hidden = !many || Boolean(options.scene); // they all have them
    $('download-all').hidden = !many;
    const { members } = this.colouring.scene;
    const named = members.includes(photo) ? members : [photo];
    $('command').textContent = command(
      named, $('format').value, address('colorize'), Boolean(key()),
    );
  }
}

/** A small picture on a button; stale where it is of other options, until its own comes. */
export function picture(image, url, stale) {
  image.hidden = !url;
  image.classList.toggle('stale', stale);
  if (url && image.src !== url) {
    image.src = url;
  }
}

/** Into the clipboard, which a page has only at localhost or by https; else it is selected. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    say('Copied.');
  } catch {
    getSelection().selectAllChildren(element);
    say('Selected. Copy it with Ctrl+C.');
  }
}
