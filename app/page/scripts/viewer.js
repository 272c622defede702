/** The photo on its stage: before and after, the border between them, and what is said over it. */

import { loaded } from './colouring.js';
import { disable, hide } from './focus.js';
import { View } from './geometry.js';
import { words, workingWords } from './states.js';

const $ = (id) => document.getElementById(id);
const REVEAL_MS = 700;
const DETAIL_MS = 300;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class Viewer extends EventTarget {
  /** @param {import('./album.js').Album} album */
  constructor(album) {
    super();
    this.album = album;
    this.view = new View();
    this.split = 50; // percent of what is seen that shows the photo as it was
    this.chosen = 50; // the same, as the user would have it
    this.revealing = null; // the step of the animation that is under way
    this.whole = false; // colours everywhere, whatever the split
    this.peeking = false; // nowhere, as long as somebody holds a button
    this.images = new WeakMap();
    this.painting = 0;
    this.revealed = new WeakSet();
    this.stage = $('stage');
    new ResizeObserver(() => {
      this.view.resize(this.stage.clientWidth, this.stage.clientHeight);
      this.place();
    }).observe(this.stage);
    this.hold();
    $('split').addEventListener('input', () => this.divide(Number($('split').value)));
    album.addEventListener('selected', () => this.show());
    album.addEventListener('photo', ({ detail }) => detail === album.selected && this.refresh());
  }

  get photo() {
    return this.album.selected;
  }

  /** Another photo. */
  show() {
    this.shown = null;
    $('after').replaceChildren();
    $('before').removeAttribute('src');
    if (this.photo) {
      this.stage.setAttribute('aria-busy', 'true');
      $('photo-name').textContent = this.photo.name;
      this.refresh();
    }
  }

  /** Something about the photo is new. */
  refresh() {
    const { photo } = this;
    if (photo.before && this.shown !== photo) {
      this.shown = photo;
      $('before').src = photo.before;
      $('before').alt = `${photo.name}, as it was`;
      this.view.show(photo.width, photo.height);
    }
    $('photo').hidden = this.shown !== photo;
    this.say();
    this.place();
    this.paint();
  }

  /** Show the closest colours there are, once they are decoded. */
  async paint() {
    const { photo } = this;
    this.painting += 1;
    const turn = this.painting;
    const mix = photo.closest;
    const images = await Promise.all(mix.map(([result]) => this.finest(result))).catch(() => []);
    if (turn !== this.painting || photo !== this.photo) {
      return;
    }
    images.forEach((image, i) => {
      image.style.opacity = mix[i][1];
      image.alt = i ? '' : `${photo.name}, in colour`;
    });
    const after = $('after');
    if (images.length !== after.children.length || images.some((e, i) => e !== after.children[i])) {
      after.replaceChildren(...images);
    }
    const exact = photo.state === 'done' && photo.result && !photo.working;
    this.stage.setAttribute('aria-busy', String(!exact && !photo.problem));
    this.place();
    if (photo.detail?.of === photo.result && photo.original) {
      $('before').src = photo.original;
    } else if (photo.result && this.view.moved) {
      this.wantDetail();
    }
    if (images.length && !this.revealed.has(photo)) {
      this.revealed.add(photo);
      this.reveal();
    }
  }

  image(result) {
    if (!this.images.has(result)) {
      this.images.set(result, loaded(result.url));
    }
    return this.images.get(result);
  }

  /** The image of an answer, or that of its photo's full size where it is known. */
  finest(result) {
    const { detail } = this.photo;
    return detail?.of === result
      ? this.image(detail).catch(() => this.image(result)) // too large for this browser
      : this.image(result);
  }

  /** The first colours come in from the right. */
  reveal() {
    if (calm.matches) {
      return;
    }
    const start = performance.now();
    const step = (now) => {
      if (this.revealing !== step) { // moved by the user, or begun anew
        return;
      }
      const t = Math.min((now - start) / REVEAL_MS, 1);
      this.divide(100 - (100 - this.chosen) * (1 - (1 - t) ** 3), false);
      if (t < 1) {
        requestAnimationFrame(step);
      }
    };
    this.revealing = step;
    requestAnimationFrame(step);
  }

  /** Move the border between before and after. */
  divide(percent, byUser = true) {
    this.split = Math.min(Math.max(percent, 0), 100);
    if (byUser) {
      this.revealing = null;
      this.chosen = this.split;
    }
    $('split').value = String(this.split);
    this.place();
  }

  /** Move the border to a place on the stage. */
  divideAt(x) {
    const [left, right] = this.view.seen;
    this.divide((100 * (x - left)) / Math.max(right - left, 1));
  }

  /** The photo as it was, for as long as the button or its key is held. */
  hold() {
    const button = $('hold');
    const peek = (peeking) => {
      this.peeking = peeking;
      button.setAttribute('aria-pressed', String(peeking));
      this.place();
    };
    const held = ({ key }) => key === ' ' || key === 'Enter';
    button.addEventListener('pointerdown', (event) => {
      button.setPointerCapture(event.pointerId);
      peek(true);
    });
    button.addEventListener('keydown', (event) => held(event) && peek(true));
    for (const end of ['pointerup', 'pointercancel', 'blur', 'keyup']) {
      button.addEventListener(end, () => peek(false));
    }
    button.addEventListener('contextmenu', (event) => event.preventDefault()); // by a long touch
    let byKey = false; // on the stage, which loses the focus to the button
    this.stage.addEventListener('keydown', ({ key, repeat }) => {
      if (key === 'o' && !repeat) {
        byKey = true;
        peek(true);
      }
    });
    for (const end of ['keyup', 'blur']) {
      this.stage.addEventListener(end, () => {
        if (byKey) {
          byKey = false;
          peek(false);
        }
      });
    }
  }

  showWhole(whole) {
    this.whole = whole;
    this.place();
  }

  /** Put everything where the view says. */
  place() {
    const { view, photo } = this;
    const coloured = Boolean(photo?.results.length && this.shown === photo);
    const box = $('photo').style;
    box.width = `${view.width * view.fit}px`;
    box.height = `${view.height * view.fit}px`;
    box.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    const [left, right] = view.seen;
    const split = this.peeking ? 100 : this.whole ? 0 : this.split;
    const border = left + (split / 100) * (right - left);
    const cut = Math.max((border - view.x) / view.zoom, 0);
    $('after').style.clipPath = `inset(0 0 0 ${cut}px)`;
    const divider = $('divider');
    divider.hidden = !coloured || this.whole || this.peeking;
    disable($('hold'), !coloured, this.stage);
    divider.style.transform = `translateX(${border}px)`;
    const bottom = Math.min(view.y + view.height * view.scale, view.stageHeight);
    this.tag($('tag-before'), border - left, `translate(${left + 12}px, calc(${bottom - 12}px - 100%))`);
    this.tag(
      $('tag-after'),
      right - border,
      `translate(calc(${right - 12}px - 100%), calc(${bottom - 12}px - 100%))`,
    );
    disable($('split'), !coloured || this.whole, this.stage);
    $('split').setAttribute('aria-valuetext', `${Math.round(this.split)}% as it was`);
    const zoom = photo ? view.scale * devicePixelRatio : 1;
    set($('zoom-level'), `${Math.round(100 * zoom)}%`);
    this.stage.classList.toggle('zoomed', view.moved);
    this.dispatchEvent(new Event('placed'));
  }

  tag(element, room, transform) {
    element.hidden = $('divider').hidden || room < 90;
    element.style.transform = transform;
  }

  zoomBy(factor, x, y) {
    this.view.zoomBy(factor, x, y);
    this.place();
    this.wantDetail();
  }

  /** Ask for all of the photo's pixels, once it rests so large that the preview's are seen. */
  wantDetail() {
    clearTimeout(this.detailTimer);
    const { photo, view } = this;
    if (photo?.sent && view.scale * devicePixelRatio > 1.2 * photo.sent.scale) {
      this.detailTimer = setTimeout(() => this.dispatchEvent(new Event('detail')), DETAIL_MS);
    }
  }

  zoomReal() {
    this.view.real(devicePixelRatio);
    this.place();
    this.wantDetail();
  }

  zoomFit() {
    this.view.whole();
    this.place();
  }

  moveBy(dx, dy) {
    this.view.moveBy(dx, dy);
    this.place();
  }

  /** What is said over the photo: how far it is, or what went wrong. */
  say() {
    const { photo } = this;
    const failed = photo.state === 'failed';
    const words_ = photo.state === 'done' ? workingWords(photo) : words(photo);
    const waiting = words_.includes('Trying again');
    $('working').hidden = !photo.working;
    const notice = $('notice');
    hide(notice, photo.state === 'done' && !photo.problem && !waiting, this.stage);
    notice.classList.toggle('failed', failed);
    if (photo.problem) {
      notice.setAttribute('role', 'alert');
    } else {
      notice.removeAttribute('role');
    }
    set($('notice-title'), photo.problem ? photo.problem.title : words_);
    set($('notice-text'), photo.problem ? photo.problem.detail : '');
    $('notice-text').hidden = !photo.problem;
    const progress = $('notice-progress');
    progress.hidden = photo.state !== 'uploading';
    progress.value = photo.more.share ?? 0;
    hide(notice.querySelector('.row'), !photo.problem, this.stage);
    notice.querySelector('[data-action=retry]').hidden = !photo.problem?.again;
    notice.querySelector('[data-action=accept]').hidden = !(failed && photo.problem?.rest);
    notice.querySelector('[data-action=remove]').hidden = !failed;
    const result = photo.results.at(-1);
    set($('facts'), photo.width
      ? [`${photo.width} × ${photo.height}`, ...(result ? [`model ${result.version}`] : [])].join(', ')
      : '');
  }
}

function set(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
