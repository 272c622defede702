/** The strip of all photos: which is looked at, how far each one is. */

import { hide } from './focus.js';
import { words } from './states.js';

const $ = (id) => document.getElementById(id);

export class Shelf {
  /**
   * @param {import('./album.js').Album} album
   * @param {(photos: object[]) => void} remove
   * @param {() => void} restore what was removed last
   */
  constructor(album, remove, restore) {
    this.album = album;
    this.remove = remove;
    this.items = new Map();
    album.addEventListener('photos', () => this.list());
    album.addEventListener('selected', () => this.mark());
    album.addEventListener('photo', ({ detail }) => this.update(detail));
    $('tally-failed').addEventListener('click', () => {
      const { photos, selected } = album;
      const failed = photos.filter((each) => each.state === 'failed');
      album.select(failed[(failed.indexOf(selected) + 1) % failed.length]);
    });
    $('clear-all').addEventListener('click', () => remove([...album.photos]));
    $('dismiss').addEventListener('click', () => {
      album.forget();
      album.dispatchEvent(new Event('photos')); // others let go of them, too
    });
    $('restore').addEventListener('click', () => {
      restore();
      this.focus(album.selected);
    });
  }

  list() {
    const { photos } = this.album;
    for (const [photo, { item }] of this.items) {
      if (!photos.includes(photo)) {
        item.remove();
        this.items.delete(photo);
      }
    }
    for (const photo of photos) {
      if (!this.items.has(photo)) {
        this.items.set(photo, this.made(photo));
        this.update(photo);
      }
    }
    photos.forEach((photo, i) => {
      const { item } = this.items.get(photo);
      if ($('shelf').children[i] !== item) {
        $('shelf').insertBefore(item, $('shelf').children[i] ?? null);
      }
    });
    const { removed } = this.album;
    hide($('removed'), !removed);
    $('removed-name').textContent = removed ? gone(removed.photos) : '';
    this.tally();
  }

  /** How far all of them are. */
  tally() {
    const { photos } = this.album;
    const count = (state) => photos.filter((each) => each.state === state).length;
    const failed = count('failed');
    $('tally').hidden = photos.length < 2;
    $('tally-done').textContent = `${count('done')} of ${photos.length} done${failed ? ',' : ''}`;
    hide($('tally-failed'), !failed);
    $('tally-failed').textContent = `${failed} failed`;
  }

  made(photo) {
    const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
    const item = make('li', {});
    const button = make('button', { type: 'button', className: 'thumb' });
    const image = make('img', { alt: '', draggable: false, hidden: true });
    const name = make('span', { className: 'name', textContent: photo.name });
    const state = make('span', { className: 'state' });
    const bar = make('span', { className: 'progress' });
    const close = make('button', { type: 'button', className: 'remove', textContent: '×' });
    close.setAttribute('aria-label', `Remove ${photo.name}`);
    const picture = make('span', { className: 'picture' });
    picture.append(image);
    button.append(picture, name, state, bar);
    button.addEventListener('click', () => this.album.select(photo));
    close.addEventListener('click', () => this.remove([photo]));
    item.append(button, close);
    return { item, button, image, state, bar };
  }

  update(photo) {
    const parts = this.items.get(photo);
    if (!parts) {
      return;
    }
    const { item, image, state, bar } = parts;
    item.dataset.state = photo.state;
    const said = photo.state === 'waiting' ? `Waiting ${photo.more.seconds} s` : words(photo);
    if (state.textContent !== said) {
      state.textContent = said;
    }
    bar.style.transform = `scaleX(${photo.state === 'uploading' ? photo.more.share ?? 0 : 0})`;
    if (photo.thumbnail && image.src !== photo.thumbnail) {
      image.src = photo.thumbnail;
      image.hidden = false;
    }
    this.tally();
  }

  mark() {
    for (const [photo, { button, item }] of this.items) {
      const current = photo === this.album.selected;
      button.toggleAttribute('aria-current', current);
      if (current) {
        button.setAttribute('aria-current', 'true');
        uncover(item);
      }
    }
  }

  focus(photo) {
    this.items.get(photo)?.button.focus();
  }
}

/** That photos were removed, in words. */
export const gone = (photos) => (photos.length > 1 ? `${photos.length} photos removed.` : `${photos[0].name} removed.`);

/** Scroll the strip, and not the page, until the item is seen. */
function uncover(item) {
  const strip = item.parentElement.getBoundingClientRect();
  const box = item.getBoundingClientRect();
  const over = Math.max(box.right - strip.right, 0) + Math.min(box.left - strip.left, 0);
  item.parentElement.scrollBy({ left: over });
}
