/** What a hint covers: a place, a stroke or a region; its corners, in pixels of the photo. */

/** @typedef {import('./options.js').Hint} Hint */
/** @typedef {[number, number]} Corner */

const SVG = 'http://www.w3.org/2000/svg';

/** @param {Hint} hint @returns {Corner[]} */
export const corners = (hint) => hint.stroke ?? hint.region ?? [[hint.x, hint.y]];

/**
 * The hint with other corners.
 *
 * @param {Hint} hint
 * @param {(corner: Corner) => Corner} change
 * @returns {Hint}
 */
export function mapped({ x, y, stroke, region, ...rest }, change) {
  if (stroke) {
    return { stroke: stroke.map(change), ...rest };
  }
  if (region) {
    return { region: region.map(change), ...rest };
  }
  const [nextX, nextY] = change([x, y]);
  return { x: nextX, y: nextY, ...rest };
}

/**
 * Fewer corners of a line that was drawn by hand, none of them further off than the tolerance
 * (Douglas & Peucker 1973).
 *
 * @param {Corner[]} line
 * @param {number} tolerance
 * @returns {Corner[]}
 */
export function simplified(line, tolerance) {
  if (line.length < 3) {
    return line;
  }
  const first = line[0];
  const last = line.at(-1);
  let most = tolerance;
  let at = 0;
  line.slice(1, -1).forEach((corner, i) => {
    const off = away(corner, first, last);
    if (off > most) {
      most = off;
      at = i + 1;
    }
  });
  return at
    ? [...simplified(line.slice(0, at + 1), tolerance).slice(0, -1), ...simplified(line.slice(at), tolerance)]
    : [first, last];
}

/** How far a corner is from the line between two others. */
function away([x, y], [fromX, fromY], [toX, toY]) {
  const [dx, dy] = [toX - fromX, toY - fromY];
  const square = dx * dx + dy * dy;
  const t = square ? ((x - fromX) * dx + (y - fromY) * dy) / square : 0;
  const along = Math.min(Math.max(t, 0), 1);
  return Math.hypot(x - fromX - along * dx, y - fromY - along * dy);
}

/**
 * Lines over the photo: a light one, and one of the hint's colour in it.
 *
 * @param {Hint} hint a stroke or a region
 * @param {(x: number, y: number) => Corner} toStage
 * @returns {SVGElement}
 */
export function outline(hint, toStage) {
  const group = document.createElementNS(SVG, 'g');
  const points = corners(hint).map((corner) => toStage(...corner).map(Math.round).join()).join(' ');
  for (const name of ['rim', 'line']) {
    const line = document.createElementNS(SVG, hint.region ? 'polygon' : 'polyline');
    line.setAttribute('points', points);
    line.setAttribute('class', name);
    if (name === 'line') {
      line.setAttribute('stroke', hint.color);
      line.setAttribute('fill', hint.region ? hint.color : 'none');
    }
    group.append(line);
  }
  return group;
}
