/** Several colourings of the photo that is looked at: a row to pick from. */

import { say } from './announce.js';
import { disable, hide } from './focus.js';
import { key } from './options.js';
import { picture } from './panel.js';
import { inWords } from './problem.js';

const $ = (id) => document.getElementById(id);
const COUNT = 5;

export class Proposals {
  /**
   * @param {import('./album.js').Album} album
   * @param {import('./colouring.js').Colouring} colouring
   * @param {(proposal: number) => void} choose
   */
  constructor(album, colouring, choose) {
    this.album = album;
    this.colouring = colouring;
    this.wanted = new WeakSet(); // photos whose row was asked for
    this.buttons = Array.from({ length: COUNT }, (_, i) => made(i + 1, choose));
    $('proposed').replaceChildren(...this.buttons.map(({ button }) => button));
    $('propose').addEventListener('click', () => {
      const photo = album.selected;
      if (this.wanted.has(photo) && !this.old(photo)) {
        this.wanted.delete(photo);
        this.refresh();
      } else {
        this.propose(photo);
      }
    });
    album.addEventListener('selected', () => this.refresh());
    album.addEventListener('photo', ({ detail }) => detail === album.selected && this.refresh());
  }

  /** Whether the row shows the photo as it was with other edges or hints. */
  old(photo) {
    return this.buttons.some(({ proposal }) => {
      const known = like(photo, proposal);
      return known && known.key !== keyOf(photo, proposal);
    });
  }

  /** Ask for the colourings that are not known, one after the other. */
  async propose(photo) {
    this.wanted.add(photo);
    this.refresh();
    this.buttons[0].button.focus();
    const { signal } = photo.leaving;
    try {
      for (const { proposal } of this.buttons) {
        if (like(photo, proposal)?.key !== keyOf(photo, proposal)) {
          const options = { ...structuredClone(photo.options), proposal };
          photo.keep(await this.colouring.ask(photo, options, signal));
          this.album.changed(photo);
        }
      }
      say(`${COUNT} colourings to pick from.`);
    } catch (error) {
      if (!signal.aborted) {
        this.wanted.delete(photo);
        this.album.changed(photo, { problem: inWords(error) });
      }
    }
  }

  refresh() {
    const photo = this.album.selected;
    hide($('proposals'), photo?.state !== 'done' || Boolean(photo.options.scene));
    if ($('proposals').hidden) {
      return;
    }
    const wanted = this.wanted.has(photo);
    $('propose').setAttribute('aria-expanded', String(wanted));
    $('propose').textContent = !wanted ? 'Other colourings'
      : this.old(photo) ? 'Renew colourings' : 'Hide colourings';
    hide($('proposed'), !wanted, $('propose'));
    for (const { button, image, proposal } of this.buttons) {
      const known = like(photo, proposal);
      picture(image, known?.url, known?.key !== keyOf(photo, proposal));
      disable(button, !known, $('propose'));
      button.setAttribute('aria-pressed', String(photo.options.proposal === proposal));
    }
  }
}

/** The latest answer that shows a colouring, whatever its other options. */
function like(photo, proposal) {
  const wanted = keyOf(photo, proposal);
  const { vividness } = photo.options;
  const some = photo.results.filter((r) => r.proposal === proposal);
  return some.findLast((r) => r.key === wanted && r.vividness === vividness)
    ?? some.findLast((r) => r.key === wanted) ?? some.at(-1);
}

/** The key of a colouring with the photo's other options. */
const keyOf = (photo, proposal) => key({ ...photo.options, proposal });

function made(proposal, choose) {
  const button = Object.assign(document.createElement('button'), { type: 'button' });
  const image = Object.assign(document.createElement('img'), { alt: '', hidden: true });
  button.setAttribute('aria-label', proposal === 1 ? 'Colouring 1, the likeliest' : `Colouring ${proposal}`);
  button.append(image);
  button.addEventListener('click', () => choose(proposal));
  return { button, image, proposal };
}
