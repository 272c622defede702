/** The options of the photo that is looked at. */

import { key } from './key.js';
import { command, defaults } from './options.js';
import { address, read } from './service.js';

const $ = (id) => document.getElementById(id);
const STEP = 0.05;
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
    const vividness = $('vividness');
    $('panel').addEventListener('submit', (event) => event.preventDefault());
    vividness.addEventListener('input', () => this.choose({ vividness: Number(vividness.value) }));
    for (const event of ['focus', 'pointerenter', 'pointerdown']) {
      vividness.addEventListener(event, () => album.selected && colouring.prefetch(album.selected));
    }
    for (const input of document.querySelectorAll('[name=postprocess]')) {
      input.addEventListener('change', () => this.choose({ postprocess: input.value }));
    }
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
      defaults.vividness = Math.round((model.default_vividness ?? 0.65) / STEP) * STEP;
      defaults.vividness = Number(defaults.vividness.toFixed(2));
      defaults.postprocess = model.default_postprocess ?? defaults.postprocess;
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

  /** All photos, and those to come, get this one's options; hints are a photo's own. */
  same() {
    const { selected, photos } = this.album;
    const { vividness, postprocess } = selected.options;
    const common = { vividness, postprocess };
    this.album.options = { ...common, hints: [] };
    for (const photo of photos) {
      Object.assign(photo.options, common);
      if (photo !== selected && photo.state === 'done' && !photo.result) {
        this.colouring.start(photo);
      }
    }
  }

  refresh() {
    const photo = this.album.selected;
    if (!photo) {
      return;
    }
    const { options } = photo;
    $('vividness').value = String(options.vividness);
    $('vividness-value').textContent = options.vividness.toFixed(2);
    document.querySelector(`[name=postprocess][value=${options.postprocess}]`).checked = true;
    $('postprocess-says').textContent = SAYS[options.postprocess];
    const many = this.album.photos.length > 1;
    $('all-row').hidden = !many;
    $('download-all').hidden = !many;
    $('command').textContent = command(
      photo.name, options, $('format').value, address('colorize'), Boolean(key()),
    );
  }
}
