/** What of a photo is sent while its colours are looked at: large ones are shrunk in the browser. */

import { readable } from './files.js';
import { fileLost } from './problem.js';

const MOST_PIXELS = 1.2e6;
const THUMBNAIL = 160; // pixels of the longer side

/** The formats that the service reads and browsers too, told by their first bytes as it does. */
const SIGNATURES = {
  jpeg: [0xff, 0xd8, 0xff],
  png: [0x89, 0x50, 0x4e, 0x47],
  webp: [0x52, 0x49, 0x46, 0x46],
  bmp: [0x42, 0x4d],
};

const HEAD_BYTES = 256_000; // of metadata, as a rule
const LIES = /\x01\x12\0\x03\0\0\0\x01|\x12\x01\x03\0\x01\0\0\0/; // the tag Orientation of EXIF
const TURNED = /Raw profile type (exif|APP1)|tiff:Orientation(="|>)[2-8]/i;

/**
 * @typedef {object} Sent
 * @property {Blob} blob what is sent: the file itself, or a smaller picture of it
 * @property {number} scale of it to the photo
 * @property {boolean} seen whether the browser shows the photo, and upright
 * @property {string} format that its answers are asked for in
 * @property {number} [width] of the photo, upright
 * @property {number} [height]
 */

/**
 * Decide what is sent. What the browser cannot read goes as it is: the service reads more, and
 * says in words what is wrong with the rest.
 *
 * @param {File} file
 * @returns {Promise<Sent>}
 */
export async function prepare(file) {
  const kind = await kindOf(file);
  const bitmap = kind && await createImageBitmap(file).catch(() => null);
  if (!bitmap) {
    if (!await readable(file)) {
      throw fileLost(file.name);
    }
    return { blob: file, scale: 1, seen: false, format: 'png' };
  }
  try {
    const { width, height } = bitmap;
    if (width * height <= MOST_PIXELS) {
      // Formats other than JPEG may have transparency, which a JPEG cannot answer.
      const format = kind === 'jpeg' ? 'jpeg' : 'png';
      return { blob: file, scale: 1, seen: true, format, width, height };
    }
    const format = kind !== 'jpeg' && transparent(bitmap) ? 'png' : 'jpeg';
    const scale = Math.sqrt(MOST_PIXELS / (width * height));
    const blob = await drawn(bitmap, scale, format);
    return { blob, scale, seen: true, format, width, height };
  } finally {
    bitmap.close();
  }
}

/** A small picture of a picture, for the list. */
export async function thumbnail(blob) {
  const bitmap = await createImageBitmap(blob);
  try {
    const scale = Math.min(THUMBNAIL / Math.max(bitmap.width, bitmap.height), 1);
    return await drawn(bitmap, scale, 'jpeg');
  } finally {
    bitmap.close();
  }
}

/**
 * What is sent, from now on, of a photo that only its answer shows: the answer's grey, which is each
 * pixel's luminance (IEC 61966-2-1), for its colours left that alone.
 *
 * @param {Blob} answer
 * @returns {Promise<Sent>}
 */
export async function recovered(answer) {
  const bitmap = await createImageBitmap(answer);
  const { width, height } = bitmap;
  const scale = Math.min(Math.sqrt(MOST_PIXELS / (width * height)), 1);
  const { canvas, context } = canvasOf(bitmap, scale);
  bitmap.close();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  const linear = Float64Array.from({ length: 256 }, (_, i) => {
    const value = i / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  for (let i = 0; i < data.length; i += 4) {
    const y = 0.2126 * linear[data[i]] + 0.7152 * linear[data[i + 1]] + 0.0722 * linear[data[i + 2]];
    data.fill(255 * (y <= 0.0031308 ? 12.92 * y : 1.055 * y ** (1 / 2.4) - 0.055), i, i + 3);
  }
  context.putImageData(pixels, 0, 0);
  return { blob: await encoded(canvas, 'png'), scale, seen: false, format: 'png', width, height };
}

/** The photo's format where browsers read it, undefined where they do not. */
export async function kindOf(file) {
  const start = await file.slice(0, HEAD_BYTES).arrayBuffer();
  const head = new Uint8Array(start);
  const found = Object.entries(SIGNATURES).find(([, bytes]) => bytes.every((b, i) => head[i] === b));
  const format = found?.[0];
  const text = new TextDecoder('latin1').decode(start);
  // By EXIF and XMP the service turns a WebP upright; browsers leave it as it lies. (RFC 9649,
  // section 2.7) So it is with XMP of other formats, but for a JPEG whose EXIF says it, too, and
  // with EXIF that is in a text of a PNG.
  const turned = (format === 'webp' && head[15] === 0x58 && head[20] & 0x0c)
    || (TURNED.test(text) && !(format === 'jpeg' && text.includes('Exif\0\0') && LIES.test(text)));
  return turned ? undefined : format;
}

function transparent(bitmap) {
  const scale = Math.min(256 / Math.max(bitmap.width, bitmap.height), 1);
  const { canvas, context } = canvasOf(bitmap, scale);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 3; i < data.length; i += 4) {
    if (data[i] < 255) {
      return true;
    }
  }
  return false;
}

function drawn(bitmap, scale, format) {
  return encoded(canvasOf(bitmap, scale).canvas, format);
}

function canvasOf(bitmap, scale) {
  const canvas = document.createElement('canvas');
  // Rounded up: a place inside of the picture, scaled, is inside of it.
  canvas.width = Math.ceil(bitmap.width * scale);
  canvas.height = Math.ceil(bitmap.height * scale);
  const context = canvas.getContext('2d', { willReadFrequently: scale === 1 });
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return { canvas, context };
}

function encoded(canvas, format) {
  return new Promise((resolve, reject) => {
    const done = (blob) => (blob ? resolve(blob) : reject(new Error('The picture is too large')));
    canvas.toBlob(done, `image/${format}`, 0.95);
  });
}
