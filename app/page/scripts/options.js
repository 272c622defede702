/** The options of a photo: what they are, how they are sent, which answers they share. */

/** @typedef {{x: number, y: number, radius: number, color: string}} Hint in pixels of the photo */
/** @typedef {import('./reference.js').Reference} Reference */
/** @typedef {{vividness: number, postprocess: string, hints: Hint[], proposal: number, damaged: string, reference: Reference|null}} Options */

import { pictureOf } from './reference.js';

/** @type {Options} */
export const defaults = {
  vividness: 0.65, postprocess: 'guided', hints: [], proposal: 1, damaged: 'refuse',
  reference: null,
};

export const EXTENSIONS = { png: '.png', jpeg: '.jpg', webp: '.webp' };

/** What all vividness values of a photo have in common. */
export function key({ postprocess, hints, proposal, reference }) {
  return JSON.stringify([postprocess, hints, proposal, reference?.id]);
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
    sent.hints = JSON.stringify(options.hints.map(({ x, y, radius, color }) => ({
      x: rounded(x * scale),
      y: rounded(y * scale),
      radius: rounded(radius * scale),
      color,
    })));
  }
  return sent;
}

const rounded = (value) => Math.round(value * 10) / 10;

/** The command that does to the file what the page does; the key, if any, is left to be put in. */
export function command(name, options, format, root, keyed) {
  const { hints, reference, ...rest } = fields(options, format);
  const query = new URLSearchParams(rest);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  // To curl, a comma begins another file's name, a semicolon its type.
  const file = (called) => (
    /[,;"\\]/.test(called) ? `"${called.replaceAll(/["\\]/g, '\\$&')}"` : called
  );
  const parts = [
    `curl -F ${quoted(`file=@${file(name)}`)}`,
    ...(reference ? [`  -F ${quoted(`reference=@${file(options.reference.name)}`)}`] : []),
    ...(keyed ? ["  -H 'X-API-Key: KEY'"] : []),
    ...(hints ? [`  -F ${quoted(`hints=${hints}`)}`] : []),
    `  ${quoted(`${root}?${query}`)}`,
    `  -o ${quoted(stem(name) + EXTENSIONS[format])}`,
  ];
  return parts.join(' \\\n');
}

/** A file's name without its extension. */
export function stem(name) {
  return name.replace(/(?<=.)\.[^.]*$/, '') || 'photo';
}
