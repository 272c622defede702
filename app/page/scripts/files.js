/** Files on the disk: they may be changed, moved or removed while they are on the page. */

/** A copy of a file that is the browser's own; in a private window it keeps the others' places only. */
export async function copied(file) {
  const { name = 'photo', type, lastModified } = file;
  return new File([await file.arrayBuffer()], name, { type, lastModified });
}

/** Whether a file is still what it was; not told by a slice, which of one that is gone is empty. */
export async function readable(file) {
  const reader = file.stream().getReader();
  try {
    await reader.read();
    reader.cancel();
    return true;
  } catch {
    return false;
  }
}

/**
 * The name of the first file of a form that can no longer be read, undefined where all can.
 *
 * @param {FormData} form
 * @returns {Promise<string|undefined>}
 */
export async function lost(form) {
  for (const file of [...form.values()].filter((value) => value instanceof Blob)) {
    if (!await readable(file)) {
      return file.name;
    }
  }
  return undefined;
}
