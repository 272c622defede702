/** Where a photo lies on its stage: fitted into it, zoomed about a point, moved within bounds. */

const MOST_ENLARGED = 3; // a small photo that is fitted
const MOST_ZOOM = 16; // or what shows a pixel of the photo by one of the page, if that is more

export class View {
  constructor() {
    Object.assign(this, { width: 1, height: 1, stageWidth: 1, stageHeight: 1 });
    this.zoom = 1; // 1: the whole photo
    this.x = 0; // of the photo's left edge on the stage
    this.y = 0;
  }

  /** Screen pixels that a pixel of the photo has where it is fitted. */
  get fit() {
    const whole = Math.min(this.stageWidth / this.width, this.stageHeight / this.height);
    return Math.min(whole, MOST_ENLARGED);
  }

  get scale() {
    return this.fit * this.zoom;
  }

  get moved() {
    return this.zoom > 1.001;
  }

  resize(stageWidth, stageHeight) {
    Object.assign(this, { stageWidth, stageHeight });
    this.hold();
  }

  /** Another photo, whole. */
  show(width, height) {
    Object.assign(this, { width, height, zoom: 1, x: 0, y: 0 });
    this.hold();
  }

  /** Zoom by a factor; the point of the photo at (x, y) on the stage stays where it is. */
  zoomBy(factor, x = this.stageWidth / 2, y = this.stageHeight / 2) {
    const [px, py] = this.toPhoto(x, y);
    const most = Math.max(MOST_ZOOM, 1 / this.fit);
    this.zoom = Math.min(Math.max(this.zoom * factor, Math.min(this.zoom, 1)), most);
    this.x = x - px * this.scale;
    this.y = y - py * this.scale;
    this.hold();
  }

  whole() {
    this.zoom = 1;
    this.hold();
  }

  /** A pixel of the photo a pixel of the screen, which has `density` of them to one of the page. */
  real(density) {
    const zoom = 1 / (this.fit * density);
    if (zoom < 1) { // a small photo, which is enlarged where it is fitted
      this.zoom = zoom;
      this.hold();
    } else {
      this.zoomBy(zoom / this.zoom);
    }
  }

  moveBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.hold();
  }

  toPhoto(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  toStage(x, y) {
    return [this.x + x * this.scale, this.y + y * this.scale];
  }

  contains(x, y) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height;
  }

  /** The part of the stage, from left to right, in which the photo is seen. */
  get seen() {
    return [Math.max(this.x, 0), Math.min(this.x + this.width * this.scale, this.stageWidth)];
  }

  /** Keep the photo over the stage where it is larger, in its middle where it is smaller. */
  hold() {
    this.x = held(this.x, this.width * this.scale, this.stageWidth);
    this.y = held(this.y, this.height * this.scale, this.stageHeight);
  }
}

function held(start, size, room) {
  return size <= room ? (room - size) / 2 : Math.min(Math.max(start, room - size), 0);
}
