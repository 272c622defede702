/** The options of a photo: what they are, how they are sent, which answers they share. */

import { pictureOf } from './reference.js';
import { mapped } from './shapes.js';

/**
 * A place, a stroke or a region, in pixels of the photo.
 *
 * @typedef {{x?: number, y?: number, stroke?: number[][], region?: number[][], radius?: number, color: string}} Hint
 */
/** @typedef {import('./reference.js').Reference} Reference */
/** @typedef {{vividness: number, postprocess: string, hints: Hint[], proposal: number, damaged: string, reference: Reference|null, scene: string|null}} Options scene: those whose colours agree have the same, see scene.js */

/** @type {Options} */
export const defaults = {
  vividness: 0.65, postprocess: 'guided', hints: [], proposal: 1, damaged: 'refuse',
  reference: null, scene: null,
};

export const EXTENSIONS = { png: '.png', jpeg: '.jpg', webp: '.webp' };

/** What all vividness values of a photo have in common. */
export function key({ postprocess, hints, proposal, reference, scene }) {
  return JSON.stringify([postprocess, hints, proposal, reference?.id, scene ?? undefined]);
}

/**
 * Options as form fields.
 *
 * @param {Options} options
 * @param {string} format
 * @param {number} scale of what is sent to the photo, 1 for the photo itself
 * @returns {Record<string, string|Blob>}
 */
export function fields(options, format, scale = 1) {
  const sent = {
    vividness: String(options.vividness),
    postprocess: options.postprocess,
    format,
  };
  if (options.proposal > 1) {
    sent.proposal = String(options.proposal);
  }
  if (options.reference) {
    sent.reference = pictureOf(options.reference);
  }
  if (options.damaged === 'accept') {
    sent.damaged = 'accept';
  }
  if (options.hints.length) {
    sent.hints = JSON.stringify(sentHints(options.hints, scale));
  }
  return sent;
}

/** Hints as the service has them, in pixels of what is sent of the photo. */
export function sentHints(hints, scale) {
  return hints.map(({ color, radius, ...where }) => ({
    ...mapped(where, (corner) => corner.map((value) => rounded(value * scale))),
    ...(radius ? { radius: rounded(radius * scale) } : {}),
    color,
  }));
}

const rounded = (value) => Math.round(value * 10) / 10;

/**
 * The command that does to files what the page does; the key, if any, is left to be put in.
 *
 * @param {{name: string, options: Options}[]} photos the first one's options count, and all hints; to
 *     accept damage is for all of them
 */
export function command(photos, format, root, keyed) {
  const [{ name, options }] = photos;
  const damaged = photos.some((photo) => photo.options.damaged === 'accept') ? 'accept' : 'refuse';
  const { hints: own, reference, ...rest } = fields({ ...options, damaged }, format);
  if (options.scene) {
    rest.album = 'true';
  }
  const all = photos.flatMap((photo, n) => (
    sentHints(photo.options.hints, 1).map((hint) => ({ ...hint, photo: n }))));
  const hints = photos.length > 1 && all.length ? JSON.stringify(all) : own;
  const query = new URLSearchParams(rest);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  // To curl, a comma begins another file's name, a semicolon its type.
  const file = (called) => (
    /[,;"\\]/.test(called) ? `"${called.replaceAll(/["\\]/g, '\\$&')}"` : called
  );
  const parts = [
    `curl ${photos.map((photo) => `-F ${quoted(`file=@${file(photo.name)}`)}`).join(' ')}`,
    ...(reference ? [`  -F ${quoted(`reference=@${file(options.reference.name)}`)}`] : []),
    ...(keyed ? ["  -H 'X-API-Key: KEY'"] : []),
    ...(hints ? [`  -F ${quoted(`hints=${hints}`)}`] : []),
    `  ${quoted(`${root}?${query}`)}`,
    `  -o ${quoted(photos.length > 1 ? 'colorized.zip' : stem(name) + EXTENSIONS[format])}`,
  ];
  return parts.join(' \\\n');
}

/** A file's name without its extension. */
export function stem(name) {
  return name.replace(/(?<=.)\.[^.]*$/, '') || 'photo';
}
