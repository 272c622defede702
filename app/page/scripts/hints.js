/** Colour hints: picked from a palette, placed or drawn on the photo, listed, moved and taken back. */

import { say } from './announce.js';
import { Drawing } from './drawing.js';
import { disable } from './focus.js';
import { checkHints } from './limits.js';
import { COLORS, NAMES, showPalette } from './palette.js';
import { corners, mapped, outline } from './shapes.js';

const $ = (id) => document.getElementById(id);
const RADIUS = 0.012; // of the photo's longer side

export class Hints {
  /**
   * @param {import('./viewer.js').Viewer} viewer
   * @param {(photo: object) => void} changed told of a photo whose hints are others now
   */
  constructor(viewer, changed) {
    this.viewer = viewer;
    this.changed = changed;
    this.placing = false;
    this.history = new WeakMap(); // photo → earlier lists of hints
    this.cross = null; // where the keyboard would place one, on the stage
    this.byKey = false; // the cross is for keys; pointers have their own
    this.asked = null; // a place whose colour is asked for: the next one that is picked
    this.color = COLORS.sky;
    this.drawing = new Drawing(this);
    showPalette(this);
    $('place').addEventListener('click', ({ detail }) => this.mode(!this.placing, detail === 0));
    $('undo').addEventListener('click', () => this.undo());
    $('clear').addEventListener('click', () => {
      this.set([]);
      say('Hints cleared.');
    });
    viewer.addEventListener('placed', () => this.draw());
    viewer.stage.addEventListener('pointerdown', () => this.cross && this.moveCross(0, 0, false));
  }

  get photo() {
    return this.viewer.photo;
  }

  get list() {
    return this.photo?.options.hints ?? [];
  }

  /** Begin or end placing; meanwhile the photo is shown in colour everywhere. */
  mode(placing, byKey = false) {
    if (placing && this.photo?.state !== 'done') {
      return;
    }
    if (this.photo?.problem?.hint) {
      this.viewer.album.changed(this.photo, { problem: null });
    }
    this.placing = placing;
    this.asked = null;
    this.drawing.line = null;
    this.cross = placing ? [this.viewer.view.stageWidth / 2, this.viewer.view.stageHeight / 2] : null;
    this.byKey = byKey;
    $('place').setAttribute('aria-pressed', String(placing));
    $('place').textContent = placing ? 'Stop placing' : 'Place hints';
    this.viewer.stage.classList.toggle('placing', placing);
    document.body.classList.toggle('placing', placing); // on a phone the photo stays in view
    this.viewer.showWhole(placing);
    if (placing) {
      this.viewer.stage.focus({ preventScroll: true });
      this.viewer.stage.scrollIntoView({ block: 'nearest' }); // on a phone the palette is below
      say(this.drawing.how);
    }
  }

  /** Begin placing with the cross at a place of the photo: a colour that is picked goes there. */
  askAt(x, y) {
    this.mode(true, true);
    this.asked = [x, y];
    this.cross = this.viewer.view.toStage(x, y);
    this.draw();
    const colours = [...document.querySelectorAll('#palette input')];
    (colours.find((colour) => colour.checked) ?? colours[0]).focus();
    say('Which colour was there? Pick it.');
  }

  place(x, y) {
    if (this.viewer.view.contains(x, y)) {
      this.asked = null;
      this.add({ x, y, radius: this.radius, color: this.color });
    }
  }

  get radius() {
    return Math.max(RADIUS * Math.max(this.photo.width, this.photo.height), 1);
  }

  add(hint) {
    if (this.photo?.state !== 'done') {
      return;
    }
    const list = [...this.list, hint];
    try {
      checkHints(list);
    } catch ({ title, detail }) {
      this.refuse(title, detail);
      return;
    }
    this.set(list);
    say(`Hint ${list.length} placed.`);
  }

  /** Say over the photo why a hint is not placed, until one is or placing ends. */
  refuse(title, detail) {
    this.viewer.album.changed(this.photo, { problem: { title, detail, hint: true } });
  }

  /** The nearest corner within the photo. */
  inside([x, y]) {
    const { width, height } = this.photo;
    const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
    return [clamp(x, width), clamp(y, height)];
  }

  /** A hint is being moved, by its first corner; nothing is asked for before it is dropped. */
  drag(index, x, y) {
    this.dragged ??= structuredClone(this.list);
    const [toX, toY] = this.inside([x, y]);
    const [[fromX, fromY]] = corners(this.list[index]);
    this.dragged[index] = mapped(this.list[index], (corner) => (
      this.inside([corner[0] + toX - fromX, corner[1] + toY - fromY])
    ));
    this.draw();
  }

  drop() {
    const moved = this.dragged;
    this.dragged = null;
    if (moved) {
      this.set(moved);
    }
  }

  cancel() {
    this.dragged = null;
    this.drawing.line = null;
    this.draw();
  }

  set(hints, remembered = true) {
    const { photo } = this;
    if (remembered) {
      const earlier = this.history.get(photo) ?? [];
      this.history.set(photo, [...earlier, photo.options.hints]);
    }
    photo.options.hints = hints;
    this.refresh();
    this.changed(photo);
  }

  undo() {
    const earlier = this.history.get(this.photo) ?? [];
    if (earlier.length) {
      this.history.set(this.photo, earlier.slice(0, -1));
      this.set(earlier.at(-1), false);
      say('Undone.');
    }
  }

  moveCross(dx, dy, byKey = true) {
    this.byKey = byKey;
    const { stageWidth, stageHeight } = this.viewer.view;
    const [x, y] = this.cross;
    this.cross = [
      Math.min(Math.max(x + dx, 0), stageWidth), Math.min(Math.max(y + dy, 0), stageHeight),
    ];
    this.draw();
  }

  /** Keys on the stage while hints are placed; whether this one meant something. */
  key(event) {
    if (!this.placing) {
      return false;
    }
    if (event.key === 'Enter' || event.key === ' ') {
      if (this.drawing.tool === 'point') {
        this.place(...this.viewer.view.toPhoto(...this.cross));
      } else {
        this.drawing.corner(...this.cross);
      }
    } else if (event.key === 'Escape' && this.drawing.line) {
      this.cancel();
      say('The line is gone.');
    } else if (event.key === 'Escape') {
      this.mode(false);
      $('place').focus();
    } else if (event.key === 'z' || event.key === 'Backspace' || event.key === 'Delete') {
      if (!this.drawing.back()) {
        this.undo();
      }
    } else {
      return false;
    }
    return true;
  }

  /** A colour was picked, to be placed: where it was asked for, else where the next click is. */
  picked() {
    if (this.asked) {
      this.place(...this.asked);
    } else {
      this.mode(true);
    }
  }

  /** The list beside the photo, after the photo or its hints have changed. */
  refresh() {
    const able = this.photo?.state === 'done';
    disable($('place'), !able, $('stage'));
    disable($('undo'), !able || !(this.history.get(this.photo)?.length), $('place'));
    disable($('clear'), !able || !this.list.length, $('place'));
    $('hints').replaceChildren(...this.list.map((hint, i) => this.row(hint, i)));
    this.draw();
  }

  row(hint, i) {
    const color = Object.assign(document.createElement('input'), { type: 'color', value: hint.color });
    color.setAttribute('aria-label', `Colour of hint ${i + 1}`);
    color.addEventListener('change', () => {
      this.set(this.list.map((each, j) => (j === i ? { ...each, color: color.value } : each)));
      $('hints').children[i].querySelector('input').focus();
    });
    const where = document.createElement('span');
    const kind = hint.stroke ? ' stroke' : hint.region ? ' region' : '';
    const [place] = corners(hint).map((corner) => corner.map(Math.round).join(', '));
    where.textContent = `${NAMES[hint.color] ?? hint.color}${kind} at ${place}`;
    const remove = Object.assign(document.createElement('button'), {
      type: 'button', className: 'link', textContent: 'Remove',
    });
    remove.setAttribute('aria-label', `Remove hint ${i + 1}`);
    remove.addEventListener('click', () => {
      this.set(this.list.filter((_, j) => j !== i));
      ($('hints').children[i]?.querySelector('button') ?? $('place')).focus();
    });
    const item = document.createElement('li');
    item.append(color, where, remove);
    const light = (lit) => $('markers').children[i]?.classList.toggle('lit', lit);
    for (const [event, lit] of [['pointerenter', true], ['focusin', true], ['pointerleave', false], ['focusout', false]]) {
      item.addEventListener(event, () => light(lit));
    }
    return item;
  }

  /** The marks over the photo, and the cross. */
  draw() {
    const { view, shown } = this.viewer;
    const hints = shown === this.photo ? this.dragged ?? this.list : [];
    const markers = $('markers');
    while (markers.children.length > hints.length) {
      markers.lastChild.remove();
    }
    hints.forEach((hint, i) => {
      const marker = markers.children[i] ?? markers.appendChild(document.createElement('span'));
      const [x, y] = view.toStage(...corners(hint)[0]);
      marker.className = 'marker';
      marker.dataset.index = i;
      marker.style.backgroundColor = hint.color;
      marker.style.transform = `translate(${x}px, ${y}px)`;
    });
    const lines = hints.filter((hint) => hint.stroke || hint.region);
    if (this.drawing.line) {
      lines.push(this.drawing.preview(this.byKey ? this.cross : null));
    }
    $('drawn').replaceChildren(...lines.map((hint) => outline(hint, (x, y) => view.toStage(x, y))));
    const cross = $('crosshair');
    cross.hidden = !(this.placing && this.byKey);
    if (this.cross) {
      cross.style.transform = `translate(${this.cross[0]}px, ${this.cross[1]}px)`;
    }
  }
}
