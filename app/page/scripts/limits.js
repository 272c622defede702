/**
 * What the service takes. A large photo is looked at by a smaller picture, which it does take: that
 * the photo itself would be refused is said before anybody has worked on its colours.
 */

import { Problem } from './problem.js';
import { corners } from './shapes.js';

const FORM_BYTES = 60_000; // of a request, beside the photo: its options and hints
const MOST_HINTS = 200;
const MOST_CORNERS = 2000; // of all hints together

/** @typedef {{max_upload_bytes: number, max_photos: number, max_pixels: number, max_side: number, jobs_photos: number|null}} Limits */

/**
 * @param {File} file
 * @param {Limits} limits
 * @throws {Problem} it is too large to be sent
 */
export function checkBytes(file, limits) {
  if (file.size + FORM_BYTES > limits.max_upload_bytes) {
    const most = millions(limits.max_upload_bytes);
    throw tooLarge(`It has ${millions(file.size)} MB; this service takes up to ${most} MB. Save it as a`
      + ' JPEG, or smaller.');
  }
}

/**
 * @param {Blob[]} files that are to be sent together
 * @param {Limits|null} limits
 * @throws {Problem} they are too large for one request
 */
export function checkTogether(files, limits) {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (limits && size + 2 * FORM_BYTES > limits.max_upload_bytes) {
    throw new Problem(413, {
      title: 'Too large together',
      detail: `Photos of one scene are sent together. These have ${millions(size)} MB; this service takes`
        + ` up to ${millions(limits.max_upload_bytes)} MB. Remove some, or save them smaller.`,
    });
  }
}

/**
 * @param {{width: number, height: number}} size in pixels
 * @param {Limits} limits
 * @throws {Problem} it has too many of them
 */
export function checkPixels({ width, height }, limits) {
  const has = `It has ${width} × ${height} pixels`;
  if (width * height > limits.max_pixels) {
    throw tooLarge(`${has}, ${millions(width * height)} million; this service takes up to`
      + ` ${millions(limits.max_pixels)} million. Shrink it, and choose it again.`);
  }
  if (Math.max(width, height) > limits.max_side) {
    throw tooLarge(`${has}; this service takes up to ${limits.max_side} a side. Shrink or cut it, and`
      + ' choose it again.');
  }
}

/**
 * @param {import('./options.js').Hint[]} hints of one photo
 * @throws {Problem} they are too many, or have too many corners
 */
export function checkHints(hints) {
  if (hints.length > MOST_HINTS) {
    throw new Problem(422, {
      title: 'Too many hints',
      detail: `A photo takes up to ${MOST_HINTS}. Draw around several places that have one colour.`,
    });
  }
  if (hints.flatMap(corners).length > MOST_CORNERS) {
    throw new Problem(422, {
      title: 'Too many corners',
      detail: `All hints of a photo may have ${MOST_CORNERS} corners. Remove some, or draw simpler ones.`,
    });
  }
}

const tooLarge = (detail) => new Problem(413, { title: 'Photo too large', detail });
const millions = (count) => (count / 1e6).toFixed(1);
