/** Strokes and lines around regions, while they are drawn: by a pointer, or corner by corner by keys. */

import { say } from './announce.js';
import { simplified } from './shapes.js';

const STEP = 4; // pixels of the screen between two corners, at least
const TOLERANCE = 1.5; // pixels of the screen that a line may be off with fewer corners

export class Drawing {
  /** @param {import('./hints.js').Hints} hints told of what is drawn */
  constructor(hints) {
    this.hints = hints;
    this.tool = 'point'; // or stroke, region
    this.line = null; // corners of what is being drawn, on the photo
    for (const input of document.querySelectorAll('[name=tool]')) {
      // By pointer a kind is picked in order to draw; keys pass over many.
      input.addEventListener('click', ({ detail }) => {
        this.tool = input.value;
        this.line = null;
        if (detail) {
          hints.mode(true);
        }
      });
    }
  }

  get view() {
    return this.hints.viewer.view;
  }

  get how() {
    return this.tool === 'point'
      ? 'Placing hints. The arrow keys move the cross, Enter places a hint, Escape ends.'
      : `Drawing a ${this.tool}. The arrow keys move the cross, Enter sets a corner, and Enter again`
        + ' there ends it.';
  }

  /** The line goes on at a place on the stage, or begins there. */
  trace(x, y, begins = false) {
    const corner = this.hints.inside(this.view.toPhoto(x, y));
    const before = begins ? null : this.line?.at(-1);
    if (!before) {
      this.line = [corner];
    } else if (Math.hypot(corner[0] - before[0], corner[1] - before[1]) * this.view.scale >= STEP) {
      this.line.push(corner);
    }
    this.hints.draw();
  }

  /** What was drawn becomes a hint. */
  finish() {
    const { hints, tool } = this;
    const line = simplified(this.line ?? [], TOLERANCE / this.view.scale);
    this.line = null;
    if (tool === 'region' && line.length > 2) {
      hints.add({ region: line, color: hints.color });
    } else if (tool === 'stroke' && line.length > 1) {
      hints.add({ stroke: line, radius: hints.radius, color: hints.color });
    } else if (tool === 'stroke' && line.length) {
      hints.place(...line[0]);
    } else if (line.length) {
      hints.refuse('No region', 'Draw around all that has the colour.');
    }
    hints.draw();
  }

  /** A corner is set at a place on the stage; where the last one is, that ends the line. */
  corner(x, y) {
    const count = this.line?.length ?? 0;
    this.trace(x, y);
    if (this.line.length === count) {
      this.finish();
    } else {
      say(`Corner ${this.line.length} set.`);
    }
  }

  /** Take the last corner back; whether there was one. */
  back() {
    if (!this.line) {
      return false;
    }
    this.line.pop();
    this.line = this.line.length ? this.line : null;
    this.hints.draw();
    return true;
  }

  /** The line so far as a hint, on to a place on the stage if that is given. */
  preview(cross) {
    const ahead = cross ? [this.view.toPhoto(...cross)] : [];
    return { stroke: [...this.line, ...ahead], color: this.hints.color };
  }
}
