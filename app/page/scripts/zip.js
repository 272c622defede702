/** A ZIP of files that are compressed already: stored as they are (PKWARE APPNOTE 6.3). */

const MOST_BYTES = 0xffffffff;
const MOST_FILES = 0xffff;
const UTF8 = 0x0800;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) {
    c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return c;
});

/**
 * @param {{name: string, blob: Blob}[]} files with names that are told apart
 * @returns {Promise<Blob>}
 * @throws {RangeError} more than a ZIP without extensions holds
 */
export async function zip(files, now = new Date()) {
  const size = files.reduce((sum, { blob, name }) => sum + blob.size + 2 * name.length * 4 + 76, 22);
  if (size > MOST_BYTES || files.length > MOST_FILES) {
    throw new RangeError('A ZIP holds 4 GB at most. Download the photos in several parts.');
  }
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const encoded = new TextEncoder().encode(name);
    const about = await description(blob, encoded.length, now);
    const head = record(0x04034b50, [[2, 20], ...about]);
    parts.push(head, encoded, blob);
    directory.push(
      record(0x02014b50, [[2, 20], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]),
      encoded,
    );
    offset += head.length + encoded.length + blob.size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = record(0x06054b50, [
    [2, 0], [2, 0], [2, count], [2, count], [4, length], [4, offset], [2, 0],
  ]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** The fields that an entry's header and its line in the directory share. */
async function description(blob, nameLength, now) {
  const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return [
    [2, UTF8], [2, 0], [2, time], [2, date], [4, crc], [4, blob.size], [4, blob.size],
    [2, nameLength], [2, 0],
  ];
}

function record(signature, fields) {
  const bytes = new Uint8Array(4 + fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [width, value] of fields) {
    if (width === 2) {
      view.setUint16(at, value, true);
    } else {
      view.setUint32(at, value, true);
    }
    at += width;
  }
  return bytes;
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i += 1) {
    crc = TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
