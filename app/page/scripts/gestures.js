/** Pointers, wheel and keys on the stage: compare, zoom, move, place hints. */

const SLOP = 5; // pixels that a click may move
const STEP = 40; // pixels that a key moves the photo
const KEY_ZOOM = 1.25;

export class Gestures {
  /**
   * @param {import('./viewer.js').Viewer} viewer
   * @param {import('./hints.js').Hints} hints
   */
  constructor(viewer, hints) {
    this.viewer = viewer;
    this.hints = hints;
    this.stage = viewer.stage;
    this.pointers = new Map();
    this.action = null; // of one pointer: divide, pan, place, draw, or marker
    const { stage } = this;
    stage.addEventListener('pointerdown', (event) => this.down(event));
    stage.addEventListener('pointermove', (event) => this.move(event));
    stage.addEventListener('pointerup', (event) => this.up(event));
    stage.addEventListener('pointercancel', (event) => this.up(event, true));
    stage.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    stage.addEventListener('keydown', (event) => this.key(event));
    // A picture that is dragged as a file would take the pointer with it.
    stage.addEventListener('dragstart', (event) => event.preventDefault());
    stage.addEventListener('dblclick', (event) => this.double(event));
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (event.button > 1 || this.pointers.size > 1 || event.target.closest?.('.ask')) {
      return;
    }
    const [x, y] = this.at(event);
    this.pointers.set(event.pointerId, { x, y });
    this.stage.setPointerCapture(event.pointerId);
    this.start = { x, y, far: false };
    const marker = event.target.closest?.('.marker');
    if (this.pointers.size === 2) {
      this.action = null;
      this.hints.cancel();
    } else if (event.target.closest?.('#divider')) {
      this.action = 'divide';
    } else if (marker) {
      this.action = { marker: Number(marker.dataset.index) };
    } else if (this.hints.placing && this.hints.drawing.tool !== 'point') {
      this.action = 'draw';
      this.hints.drawing.trace(x, y, true);
    } else if (this.hints.placing) {
      this.action = 'place';
    } else {
      const pans = this.viewer.view.moved || event.button === 1;
      this.action = pans ? 'pan' : 'divide';
      if (!pans && event.pointerType === 'mouse') {
        this.viewer.divideAt(x);
      }
    }
    if (event.button === 1) {
      event.preventDefault();
    }
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      return;
    }
    const [x, y] = this.at(event);
    if (this.pointers.size === 2) {
      this.pinch(event.pointerId, before, x, y);
    }
    this.pointers.set(event.pointerId, { x, y });
    this.start.far ||= Math.hypot(x - this.start.x, y - this.start.y) > SLOP;
    if (this.pointers.size === 2 || !this.start.far) {
      return;
    }
    if (this.action === 'draw') {
      for (const each of [...event.getCoalescedEvents?.() ?? [], event]) {
        this.hints.drawing.trace(...this.at(each));
      }
      return;
    }
    if (this.action === 'divide') {
      // Up and down, a finger scrolls the page.
      this.start.across ||= Math.abs(x - this.start.x) > SLOP;
      if (this.start.across) {
        this.viewer.divideAt(x);
      }
    } else if (this.action === 'pan' || this.action === 'place') {
      this.viewer.moveBy(x - before.x, y - before.y);
    } else if (this.action) {
      this.hints.drag(this.action.marker, ...this.viewer.view.toPhoto(x, y));
    }
  }

  /** Two fingers: the photo keeps to both. */
  pinch(id, before, x, y) {
    const [other] = [...this.pointers].filter(([each]) => each !== id).map(([, place]) => place);
    const factor = Math.hypot(x - other.x, y - other.y)
      / Math.max(Math.hypot(before.x - other.x, before.y - other.y), 1);
    this.viewer.zoomBy(factor, (before.x + other.x) / 2, (before.y + other.y) / 2);
    this.viewer.moveBy((x - before.x) / 2, (y - before.y) / 2);
  }

  up(event, cancelled = false) {
    if (!this.pointers.delete(event.pointerId)) {
      return;
    }
    const { action, start } = this;
    this.action = null;
    if (cancelled || !action) {
      this.hints.cancel();
      return;
    }
    if (action === 'draw') {
      this.hints.drawing.finish();
    } else if (action === 'place' && !start.far) {
      this.hints.place(...this.viewer.view.toPhoto(start.x, start.y));
    } else if (action === 'divide' && !start.far && event.pointerType !== 'mouse') {
      this.viewer.divideAt(start.x);
    } else if (action.marker !== undefined && start.far) {
      this.hints.drop();
    }
  }

  double(event) {
    if (this.hints.placing || event.target.closest('#divider')) {
      return;
    }
    if (this.viewer.view.moved) {
      this.viewer.zoomFit();
    } else {
      this.viewer.zoomBy(3, ...this.at(event));
    }
  }

  wheel(event) {
    const page = document.documentElement;
    if (!event.ctrlKey && !this.viewer.view.moved && page.scrollHeight > page.clientHeight + 1) {
      return; // the page itself scrolls
    }
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002; // a pinch on a touchpad comes in small steps
    this.viewer.zoomBy(Math.exp(-event.deltaY * lines * speed), ...this.at(event));
  }

  key(event) {
    if (event.altKey || (event.ctrlKey && event.key !== 'z') || event.metaKey) {
      return;
    }
    const arrow = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    }[event.key];
    if (arrow) {
      this.arrow(...arrow, event.shiftKey);
    } else if (event.key === '+' || event.key === '=') {
      this.viewer.zoomBy(KEY_ZOOM, ...this.hints.cross ?? []);
    } else if (event.key === '-') {
      this.viewer.zoomBy(1 / KEY_ZOOM, ...this.hints.cross ?? []);
    } else if (event.key === '0') {
      this.viewer.zoomFit();
    } else if (event.key === '1') {
      this.viewer.zoomReal();
    } else if (!this.hints.key(event)) {
      return;
    }
    event.preventDefault();
  }

  arrow(dx, dy, far) {
    if (this.hints.placing) {
      this.hints.moveCross(dx * (far ? STEP : 8), dy * (far ? STEP : 8));
    } else if (this.viewer.view.moved) {
      this.viewer.moveBy(-dx * STEP, -dy * STEP);
    } else if (dx) {
      this.viewer.divide(this.viewer.split + dx * (far ? 10 : 2));
    }
  }
}
